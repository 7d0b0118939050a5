import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JOBS, type JobObject, RUNS, type RunObject } from '../../operator/src/kube/resource.ts';
import { FORMER_FINALIZER } from '../../operator/src/plan/kubernetes/names.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { aRun, CRDS, eventually, NAMESPACE, openScene, type Scene } from './scene.ts';

/** Namespaces, CRDs and runs are deleted in any order, with the operator there, gone, or going. */

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

/** Creates a run whose Jobs and streams are there. */
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
/** Deletes an object and waits, for at most a minute, until it is gone. */
const remove = (...what: string[]) => scene.kubectl('delete', ...what, '--timeout=60s');

const STATES = ['there', 'gone', 'going'] as const;
async function removeWhile(state: (typeof STATES)[number], ...what: string[]): Promise<void> {
  if (state === 'gone') await operator.stop();
  const removed = remove(...what);
  if (state === 'going') await operator.kill();
  await removed;
}

describe.each(STATES)('with the operator %s', (state) => {
  it('a namespace with a run goes within a minute, and its streams with it', async () => {
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

  it('a CRD with runs in it goes within a minute, and works when it is back', async () => {
    await runningOperator();
    await startIn(NAMESPACE);
    await removeWhile(state, 'crd', 'greedyinfomaxruns.greedyinfomax.dev');
    await scene.kubectl('apply', ...CRDS.map((file) => `--filename=${file}`));
    // kubectl fails on a CRD whose status nobody has written yet.
    await eventually('the CRDs', () =>
      scene.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s'),
    );
    await runningOperator();
    await eventually('nothing left', async () => (await scene.left()).length === 0, { operator });
    await eventually('no stream', async () => (await streamsOf(NAMESPACE)).length === 0, {
      operator,
    });
    await startIn(NAMESPACE, aRun('again'));
    await remove('gimrun', 'again');
  });

  it('all runs go at once, and nothing is left of them', async () => {
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

  it('is removed from runs that are there, and no run gets it', async () => {
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

describe('checkpoints that are not to be retained', () => {
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

  it.each(['there', 'gone'] as const)(
    'are removed by a Job that starts when the run is gone, with the operator %s at that moment',
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
