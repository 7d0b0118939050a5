import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JOBS, RUNS, type RunObject } from '../../operator/src/kube/resource.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { endPod, ownerUid } from './kubelet.ts';
import { aRun, eventually, isTrue, jobNames, NAMESPACE, openScene, type Scene } from './scene.ts';

/**
 * Tests how runs start, end and collide on a real API server with its controllers; the tests act as
 * kubelet.
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

const wait = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));
const seconds = (time: string | undefined) => Date.parse(time ?? '') / 1000;
const becomes = (run: string, phase: string) =>
  eventually(
    `${run} to be ${phase}`,
    async () => {
      const found = await scene.run(run);
      return found?.status?.phase === phase && found;
    },
    { operator },
  );
const jobsOf = (run: string, count: number) =>
  eventually(
    `${count} Jobs of ${run}`,
    async () => {
      const jobs = await scene.list(JOBS, run);
      return jobs.length === count && jobs;
    },
    { operator },
  );
const condition = (run: RunObject | undefined, type: string) =>
  run?.status?.conditions?.find((each) => each.type === type);
/** Output of `kubectl patch` for a refused change. */
const refusal = (run: string, spec: object): Promise<string> =>
  scene.kubectl('patch', 'gimrun', run, '--type=merge', `-p=${JSON.stringify({ spec })}`).then(
    () => 'accepted',
    (error: Error) => error.message,
  );

describe('a run that another controller manages', () => {
  it('is not touched', async () => {
    await scene.create(aRun('foreign', undefined, { managedBy: 'other.example/controller' }));
    await scene.create(aRun('own'));
    await jobsOf('own', 2);
    const run = await scene.run('foreign');
    expect(await scene.left('foreign')).toEqual([]);
    expect(run?.metadata.finalizers).toBeUndefined();
    expect(run?.status).toEqual({ observedGeneration: -1 });
  });

  it('cannot be transferred to this operator', async () => {
    const words = 'managedBy cannot change; make a new run';
    expect(await refusal('foreign', { managedBy: null })).toContain(words);
    expect(await refusal('own', { managedBy: 'other.example/controller' })).toContain(words);
  });
});

it('an edit of immutable fields is refused with a hint', async () => {
  expect(await refusal('own', { seed: 3 })).toContain('seed cannot change; make a new run');
  const { modules } = aRun('own', ['second', 'first']).spec;
  expect(await refusal('own', { modules })).toContain(
    'modules cannot be added, removed, renamed or moved; make a new run',
  );
});

describe('a run whose trainers all succeed', () => {
  it('is complete, and does not restart even when its Jobs are deleted', async () => {
    await scene.create(aRun('done'));
    for (const module of ['first', 'second']) await endPod(scene, 'done', module, { exitCode: 0 });
    const { status } = await becomes('done', 'Complete');
    await scene.kubectl('delete', 'jobs', '-l=greedyinfomax.dev/run=done');
    await scene.kubectl('annotate', 'gimrun', 'done', 'example.com/touched=1');
    await operator.stop();
    operator = await scene.operator();
    await scene.create(aRun('after-done'));
    await jobsOf('after-done', 2);
    expect(await scene.list(JOBS, 'done')).toEqual([]);
    expect((await scene.run('done'))?.status).toEqual(status);
  });

  it('has its streams deleted once, not on every reconcile', async () => {
    const connection = await connect({ servers: scene.nats.url });
    const deletes: string[] = [];
    connection.subscribe('$JS.API.STREAM.DELETE.>', {
      callback: (_, { subject }) => {
        deletes.push(subject);
      },
    });
    await scene.create(aRun('once'));
    for (const module of ['first', 'second']) await endPod(scene, 'once', module, { exitCode: 0 });
    await becomes('once', 'Complete');
    for (let i = 0; i < 5; i++) {
      await scene.kubectl('annotate', '--overwrite', 'gimrun', 'once', `example.com/touched=${i}`);
    }
    await scene.create(aRun('after-once'));
    await jobsOf('after-once', 2);
    await connection.close();
    expect(deletes).toContain('$JS.API.STREAM.DELETE.GIM_default_once_first');
    expect(deletes).toEqual([...new Set(deletes)]);
    expect(await scene.streams()).not.toContain('GIM_default_once_first');
  });

  it('is deleted when its TTL expires, even if the operator restarted in between', async () => {
    const run = aRun('short-lived', ['only'], { ttlSecondsAfterFinished: 10 });
    // Blocks the deletion, so that its time can be read.
    run.metadata.finalizers = ['example.com/test'];
    await scene.create(run);
    await endPod(scene, 'short-lived', 'only', { exitCode: 0 });
    await becomes('short-lived', 'Complete');
    await operator.stop();
    operator = await scene.operator();
    const restarted = Date.now() / 1000;
    const { metadata, status } = await eventually(
      'the deletion',
      async () => {
        const found = await scene.run('short-lived');
        return found?.metadata.deletionTimestamp !== undefined && found;
      },
      { operator },
    );
    const lived = seconds(metadata.deletionTimestamp) - seconds(status?.completionTime);
    expect(lived).toBeGreaterThanOrEqual(10);
    // On time, or once the restarted operator leads; the rest is slack for a slow machine.
    const due = Math.max(10, restarted - seconds(status?.completionTime));
    expect(lived).toBeLessThanOrEqual(due + 30);
    const body = { metadata: { finalizers: null } };
    await scene.client.patch(RUNS, NAMESPACE, 'short-lived', 'merge', body).catch(() => {});
  });
});

describe('a run that fails', () => {
  it('fails at once for an invalid configuration, with the trainer’s message', async () => {
    await scene.create(aRun('wrong'));
    const message = JSON.stringify({ level: 60, msg: 'the folder /data has no images' });
    await endPod(scene, 'wrong', 'second', { exitCode: 64, message });
    const run = await becomes('wrong', 'Failed');
    expect(condition(run, 'Failed')).toMatchObject({ status: 'True', reason: 'ModuleFailed' });
    expect(condition(run, 'Failed')?.message).toContain('the folder /data has no images');
    expect(condition(run, 'Failed')?.message).toContain('exit code 64');
    const jobs = await eventually('the other Job to be gone', async () => {
      const left = await scene.list(JOBS, 'wrong');
      return left.length === 1 && left;
    });
    expect(jobNames(jobs)).toEqual(['wrong-second']); // The Job is kept for its log.
  });

  it('fails on time when its deadline passes', async () => {
    await scene.create(aRun('late', undefined, { activeDeadlineSeconds: 3 }));
    const { status } = await becomes('late', 'Failed');
    expect(condition(await scene.run('late'), 'Failed')?.reason).toBe('DeadlineExceeded');
    const took = seconds(status?.completionTime) - seconds(status?.startTime);
    expect(took).toBeGreaterThanOrEqual(3);
    await eventually('no Jobs', async () => (await scene.list(JOBS, 'late')).length === 0);
  });
});

describe('a run that sets the replicas of a module', () => {
  const parallelism = async () => (await scene.list(JOBS, 'scaled'))[0]?.spec?.parallelism;
  const replicas = () =>
    scene.kubectl('get', 'gimmod', 'scaled-only', '-o=jsonpath={.spec.replicas}');
  const edit = (operation: object) =>
    scene.kubectl('patch', 'gimrun', 'scaled', '--type=json', `-p=${JSON.stringify([operation])}`);
  const path = '/spec/modules/0/replicas';

  it('keeps its number when the module is scaled, and both objects report it', async () => {
    await scene.create(aRun('scaled', ['only']));
    await jobsOf('scaled', 1);
    await edit({ op: 'add', path, value: 4 });
    await eventually('four trainers', async () => (await parallelism()) === 4, { operator });
    await scene.kubectl('scale', 'gimmod/scaled-only', '--replicas=2');
    for (const object of ['gimrun/scaled', 'gimmod/scaled-only']) {
      const event = await eventually('the event', async () => {
        const text = await scene.kubectl('describe', object);
        return text.split('\n').find((line) => line.includes('ScaleUndone'));
      });
      expect(event).toContain('scaled to 2 replicas, but the run sets replicas: 4, which stays');
    }
    expect(await replicas()).toBe('4');
    expect(await parallelism()).toBe(4);
  });

  it('gives up ownership of the number when it no longer sets it', async () => {
    const [before] = await jobsOf('scaled', 1);
    await edit({ op: 'remove', path });
    await scene.kubectl('annotate', 'gimmod', 'scaled-only', 'example.com/touched=1');
    await eventually('the operator to have seen it', async () => {
      const { status, metadata } = (await scene.run('scaled')) as RunObject;
      return status?.observedGeneration === metadata.generation;
    });
    expect(await replicas()).toBe('4');
    await scene.kubectl('scale', 'gimmod/scaled-only', '--replicas=3');
    await eventually('three trainers', async () => (await parallelism()) === 3, { operator });
    expect((await jobsOf('scaled', 1))[0]?.metadata.uid).toBe(before?.metadata.uid);
    await edit({ op: 'add', path, value: 2 });
    await eventually('two trainers', async () => (await parallelism()) === 2, { operator });
  });
});

describe('a run whose objects the API server refuses', () => {
  const words = 'the API server refuses Job';

  // The CRD does not validate affinities; Kubernetes does.
  const noTerm = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } };
  it.each([
    ['senseless', { nodeAffinity: noTerm }, 'must have at least one node selector term'],
    ['misspelt', { nodeAfinity: {} }, '.nodeAfinity: field not declared in schema'],
  ])('says where it is %s, in the API server’s words', async (name, affinity, why) => {
    await scene.create(aRun(name, ['only'], { podTemplate: { affinity } }));
    const { status } = await eventually(
      'the cause',
      async () => {
        const run = await scene.run(name);
        return condition(run, 'Progressing')?.reason === 'ObjectRefused' && run;
      },
      { operator },
    );
    expect(status?.message).toContain(`${words} ${name}-only: `);
    expect(status?.message).toContain(why);
    const described = await eventually('the event', async () => {
      const text = await scene.kubectl('describe', 'gimrun', name);
      return text.includes('Events:  <none>') ? undefined : text;
    });
    const event = described.split('\n').find((line) => /Warning +ObjectRefused/.test(line));
    expect(event).toContain(why);
    await scene.client.patch(RUNS, NAMESPACE, name, 'merge', { spec: { podTemplate: null } });
    await jobsOf(name, 1);
    await eventually('no complaint', async () => {
      const run = await scene.run(name);
      return condition(run, 'Progressing')?.reason !== 'ObjectRefused';
    });
  });

  it('starts when the quota has room again', async () => {
    await scene.kubectl('create', 'namespace', 'small');
    await scene.kubectl(
      'create',
      'quota',
      'jobs',
      '--namespace=small',
      '--hard=count/jobs.batch=1',
    );
    const run = aRun('two-jobs');
    run.metadata.namespace = 'small';
    await scene.create(run);
    const look = () => scene.client.get(RUNS, 'small', 'two-jobs');
    const { status } = await eventually(
      'the cause',
      async () => {
        const found = await look();
        return found?.status?.message?.includes(words) && found;
      },
      { operator },
    );
    expect(status?.message).toContain(`${words} two-jobs-`); // Both are created at once.
    expect(status?.message).toContain('exceeded quota: jobs');
    await scene.kubectl('delete', 'quota', 'jobs', '--namespace=small');
    await eventually(
      'both Jobs',
      async () => (await scene.client.list(JOBS, 'small')).items.length === 2,
      { operator },
    );
  });
});

it('disruptions do not count as failures', async () => {
  await scene.create(aRun('evicted', ['only']));
  // The Job controller doubles its delay before each new pod, starting at 10 s.
  for (let i = 0; i < 3; i++) {
    await endPod(scene, 'evicted', 'only', { exitCode: 137, disrupted: true });
  }
  const run = await scene.run('evicted');
  expect(isTrue(run, 'Failed')).toBe(false);
  expect(run?.status?.modules?.[0]?.restarts).toBeUndefined();
  const [job] = await scene.list(JOBS, 'evicted');
  expect(job?.status?.failed ?? 0).toBe(0);
});

describe('two runs whose objects have the same name', () => {
  it('do not take over each other’s objects; the second waits with a reason and then proceeds', async () => {
    await scene.create(aRun('a', ['b-c', 'd']));
    const before = await jobsOf('a', 2);
    await scene.create(aRun('a-b', ['c', 'e']));
    const second = await eventually(
      'the second run to say why it waits',
      async () => {
        const found = await scene.run('a-b');
        return condition(found, 'Progressing')?.reason === 'NameTaken' && found;
      },
      { operator },
    );
    expect(second.status).toMatchObject({
      phase: 'Pending',
      message:
        'GreedyInfoMaxModule a-b-c belongs to GreedyInfoMaxRun a; give this run another name, or delete the other',
    });
    const events = await scene.kubectl(
      'get',
      'events',
      '--field-selector=reason=NameTaken',
      '-o=name',
    );
    expect(events.split('\n')).toHaveLength(1);
    await wait(3000);
    const after = await scene.list(JOBS, 'a');
    expect(after.map(({ metadata }) => metadata.uid)).toEqual(
      before.map(({ metadata }) => metadata.uid),
    );
    expect(new Set(after.map(ownerUid))).toEqual(new Set([(await scene.run('a'))?.metadata.uid]));
    await scene.deleteRun('a');
    await jobsOf('a-b', 2);
  });

  it('a Job created by another client is left unchanged', async () => {
    await scene.kubectl('create', 'job', 'theirs-first', '--image=example.invalid/x');
    await scene.create(aRun('theirs'));
    const run = await eventually('the cause', async () => {
      const found = await scene.run('theirs');
      return condition(found, 'Progressing')?.reason === 'NameTaken' && found;
    });
    expect(run.status?.message).toContain('Job theirs-first was made by somebody else');
    const job = await scene.client.get(JOBS, NAMESPACE, 'theirs-first');
    expect(job?.metadata.ownerReferences).toBeUndefined();
    await scene.kubectl('delete', 'job', 'theirs-first');
    await jobsOf('theirs', 2);
  });

  it('a run deleted and created again gets new Jobs', async () => {
    await scene.create(aRun('again'));
    await jobsOf('again', 2);
    await scene.deleteRun('again');
    const { metadata } = await eventually('the name', () => scene.create(aRun('again')));
    const jobs = await eventually(
      'Jobs of the new run',
      async () => {
        const mine = (await scene.list(JOBS, 'again')).filter(
          (job) => ownerUid(job) === metadata.uid,
        );
        return mine.length === 2 && mine;
      },
      { operator },
    );
    expect(jobNames(jobs)).toEqual(['again-first', 'again-second']);
  });
});
