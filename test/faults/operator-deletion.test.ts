import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JOBS, type JobObject, RUNS, type RunObject } from '../../operator/src/kube/resource.ts';
import { FORMER_FINALIZER } from '../../operator/src/plan/kubernetes/names.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { aRun, CRDS, eventually, NAMESPACE, openScene, type Scene } from './scene.ts';

/**
 * Deletes namespaces, CRDs and runs in every order, with the operator running, stopped or killed.
 */

let scene: Scene;
let operator: OperatorProcess;
beforeAll(async () => {
  scene = await openScene();
  operator = await scene.operator();
}, CLUSTER_TIMEOUT);
afterAll(async () => {
  await scene?.close();
});

const runningOperator = async () => {
  if (operator.child.exitCode === null && operator.child.signalCode === null) return;
  await scene.freeLease();
  operator = await scene.operator();
};
const jobsIn = async (namespace: string) => (await scene.client.list(JOBS, namespace)).items;
const streamsOf = async (namespace: string) =>
  (await scene.streams()).filter((name) => name.startsWith(`GIM_${namespace}_`));

/** Creates a run and waits for its Jobs and streams. */
async function startIn(namespace: string, run = aRun('one')): Promise<RunObject> {
  const made = await scene.create({ ...run, metadata: { ...run.metadata, namespace } });
  await eventually(
    'Jobs and streams',
    async () =>
      (await jobsIn(namespace)).length >= run.spec.modules.length &&
      (await streamsOf(namespace)).length > 0,
    { operator },
  );
  return made;
}
/** Deletes an object and waits up to a minute until it is gone. */
const remove = (...what: string[]) => scene.kubectl('delete', ...what, '--timeout=60s');

const STATES = ['running', 'stopped', 'killed'] as const;
async function removeWhile(state: (typeof STATES)[number], ...what: string[]): Promise<void> {
  if (state === 'stopped') await operator.stop();
  const removed = remove(...what);
  if (state === 'killed') await operator.kill();
  await removed;
}

describe.each(STATES)('with the operator %s', (state) => {
  it("a namespace with a run and the run's streams are deleted within a minute", async () => {
    await runningOperator();
    const namespace = `team-${state}`;
    await scene.kubectl('create', 'namespace', namespace);
    const checkpoints = { storage: { volumeClaimName: 'disk' }, retain: false };
    await startIn(namespace, aRun('one', undefined, { checkpoints }));
    await removeWhile(state, 'namespace', namespace);
    await runningOperator();
    await eventually('no stream', async () => (await streamsOf(namespace)).length === 0, {
      operator,
    });
  });

  it('a CRD with runs is deleted within a minute, and works when it is installed again', async () => {
    await runningOperator();
    await startIn(NAMESPACE);
    await removeWhile(state, 'crd', 'greedyinfomaxruns.greedyinfomax.dev');
    await scene.kubectl('apply', ...CRDS.map((file) => `--filename=${file}`));
    await scene.cluster.crdsEstablished();
    await runningOperator();
    await eventually('nothing left', async () => (await scene.left()).length === 0, { operator });
    await eventually('no stream', async () => (await streamsOf(NAMESPACE)).length === 0, {
      operator,
    });
    await startIn(NAMESPACE, aRun('again'));
    await remove('gimrun', 'again');
  });

  it('all runs deleted at once leave nothing behind', async () => {
    await runningOperator();
    await startIn(NAMESPACE);
    await removeWhile(state, 'gimrun', '--all');
    await runningOperator();
    await eventually('nothing left', async () => (await scene.left()).length === 0, { operator });
    await eventually('no stream', async () => (await streamsOf(NAMESPACE)).length === 0, {
      operator,
    });
  });
});

describe('the finalizer of earlier versions', () => {
  const withFinalizer = (name: string): RunObject => {
    const run = aRun(name);
    return { ...run, metadata: { ...run.metadata, finalizers: [FORMER_FINALIZER] } };
  };

  it('is removed from existing runs, and no run gets it', async () => {
    await runningOperator();
    await scene.create(withFinalizer('former'));
    await scene.create(aRun('new'));
    await eventually(
      'no finalizer',
      async () => {
        const runs = (await scene.client.list(RUNS, NAMESPACE)).items;
        return runs.every(({ metadata, status }) => status && !metadata.finalizers);
      },
      { operator },
    );
    await remove('gimrun', '--all');
  });

  it('is removed from runs that were deleted before the upgrade', async () => {
    await operator.stop();
    await scene.create(withFinalizer('held'));
    await scene.deleteRun('held');
    expect(await scene.run('held')).toBeDefined();
    await runningOperator();
    await eventually('the run to be gone', async () => !(await scene.run('held')), { operator });
  });
});

describe('checkpoints with `retain: false`', () => {
  const checkpoints = { storage: { volumeClaimName: 'disk' }, retain: false };
  const cleanupJobs = async (): Promise<JobObject[]> => {
    const jobs = await scene.list(JOBS);
    return jobs.filter(({ metadata }) => metadata.name.includes('--cleanup-'));
  };
  const started = () =>
    eventually(
      'the clean-up to start',
      async () => {
        const [job] = await cleanupJobs();
        return job?.spec?.suspend === false && job;
      },
      { operator },
    );
  const removeJobs = () => scene.kubectl('delete', 'jobs', '--all');

  it.each(['running', 'stopped'] as const)(
    'are removed by a Job that starts when the run is gone, with the operator %s at that time',
    async (state) => {
      await runningOperator();
      await startIn(NAMESPACE, aRun('unkept', undefined, { checkpoints }));
      const [waiting] = await eventually('the Job', async () => {
        const jobs = await cleanupJobs();
        return jobs.length === 1 && jobs;
      });
      expect(waiting?.spec?.suspend).toBe(true);
      await removeWhile(state, 'gimrun', 'unkept');
      await runningOperator();
      const job = await started();
      expect(job.metadata.uid).toBe(waiting?.metadata.uid);
      await removeJobs();
    },
  );

  it('are removed before a new run of the same name trains', async () => {
    await runningOperator();
    await startIn(NAMESPACE, aRun('twice', undefined, { checkpoints }));
    await eventually('the Job', async () => (await cleanupJobs()).length === 1);
    await operator.stop();
    await remove('gimrun', 'twice');
    await scene.create(aRun('twice'));
    await runningOperator();
    await started();
    const { status } = await eventually(
      'the new run to wait',
      async () => {
        const run = await scene.run('twice');
        return run?.status?.message !== undefined && run;
      },
      { operator },
    );
    expect(status?.message).toContain('waits until the checkpoints of the deleted run');
    await removeJobs();
    await eventually('its Jobs', async () => (await scene.list(JOBS, 'twice')).length === 2, {
      operator,
    });
    await remove('gimrun', 'twice');
  });
});
