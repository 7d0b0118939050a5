import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { JOBS, PODS } from '../../operator/src/kube/resource.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { aRun, CRDS, eventually, openScene, type Scene } from './scene.ts';

/** Changes or stops API server, etcd, CRDs and NATS while the operator runs. */

let scene: Scene;
let operator: OperatorProcess;
beforeAll(async () => {
  scene = await openScene();
  operator = await scene.operator();
  await startAndWait('before');
}, CLUSTER_TIMEOUT);
afterEach(() => {
  scene.proxy.fault = () => undefined;
});
afterAll(async () => {
  await scene?.close();
});

/**
 * Waits until Jobs have pods: a controller manager that is still starting dies with the API server.
 */
const isUp = async (name: string) =>
  (await scene.list(PODS, name)).length === 2 &&
  (await scene.list(JOBS, name)).length === 2 &&
  (await scene.run(name))?.status?.phase === 'Pending';
async function startAndWait(name: string): Promise<void> {
  await eventually(`a run ${name}`, () => scene.create(aRun(name)));
  await eventually(`Jobs and status of ${name}`, () => isUp(name), { operator });
}
const uids = async (run: string) =>
  (await scene.list(JOBS, run)).map(({ metadata }) => metadata.uid).toSorted();
const streamsOf = async (run: string) =>
  (await scene.streams()).filter((name) => name.startsWith(`GIM_default_${run}_`));

/**
 * Restarts the operator as a Deployment would when it exits because it could not renew its lease.
 */
async function startAgainIfEnded(): Promise<void> {
  if (operator.child.exitCode !== null) operator = await scene.operator();
}

async function restartApiServer(): Promise<void> {
  await scene.cluster.kill('kube-apiserver');
  await scene.cluster.restart('kube-apiserver');
}

it('the operator survives a crash of the API server, and no Job changes', async () => {
  const before = await uids('before');
  await restartApiServer();
  await startAgainIfEnded();
  await startAndWait('restarted');
  expect(await uids('before')).toEqual(before);
});

it('a new list finds changes that etcd compacted while all watches were down', async () => {
  const isOfRuns = (path: string) => path.includes('greedyinfomax.dev') || path.includes('/batch/');
  scene.proxy.fault = ({ method, path }) =>
    method === 'GET' && isOfRuns(path) ? { status: 503 } : undefined;
  scene.proxy.dropWatches();
  await scene.create(aRun('unseen'));
  await scene.deleteRun('before');
  await compactEtcd(scene.cluster.etcdUrl);
  await restartApiServer(); // The API server's watch cache is lost with it.
  const passed = scene.proxy.passed.length;
  scene.proxy.fault = () => undefined;
  await startAgainIfEnded();
  await eventually('Jobs and status', () => isUp('unseen'), { operator });
  await eventually(
    'the other run to be gone',
    async () => !(await scene.run('before')) && (await streamsOf('before')).length === 0,
    { operator },
  );
  const lists = scene.proxy.passed
    .slice(passed)
    .filter(({ path, isWatch, method }) => method === 'GET' && !isWatch && isOfRuns(path));
  expect(lists.length).toBeGreaterThan(0);
});

it('the API is upgraded in place while runs are active', async () => {
  const before = await uids('restarted');
  const definition = parse(readFileSync(CRDS[1] as string, 'utf8'));
  const [{ schema }] = definition.spec.versions;
  const { spec } = schema.openAPIV3Schema.properties;
  spec.properties.note = { type: 'string', description: 'A field of the next version.' };
  await scene.cluster.apply(stringify(definition));
  await eventually('the new field', async () =>
    scene.kubectl('patch', 'gimrun', 'restarted', '--type=merge', '-p={"spec":{"note":"new"}}'),
  );
  expect((await scene.run('restarted'))?.spec).toHaveProperty('note', 'new');
  scene.proxy.dropWatches(); // Watches opened before the upgrade do not see the new field.
  await startAndWait('upgraded');
  await scene.kubectl(
    'patch',
    'gimrun',
    'restarted',
    '--type=merge',
    '-p={"spec":{"suspend":true}}',
  );
  await eventually(
    'the old run to be suspended',
    async () => (await scene.run('restarted'))?.status?.phase === 'Suspended',
    { operator },
  );
  expect(await uids('restarted')).toEqual(before);
});

it('streams that NATS lost are created again', async () => {
  const before = await streamsOf('upgraded');
  expect(before).toHaveLength(1);
  await scene.nats.kill();
  await scene.nats.restart();
  await eventually('the stream', async () => (await streamsOf('upgraded')).length === 1, {
    operator,
  });
});

it('streams of a run deleted while NATS is down are deleted when NATS is back', async () => {
  expect(await streamsOf('upgraded')).toHaveLength(1);
  process.kill(scene.nats.pid, 'SIGSTOP');
  try {
    await scene.deleteRun('upgraded');
    await eventually('the run to be gone', async () => !(await scene.run('upgraded')), {
      operator,
    });
  } finally {
    process.kill(scene.nats.pid, 'SIGCONT');
  }
  await eventually('no stream', async () => (await streamsOf('upgraded')).length === 0, {
    operator,
  });
  expect(await streamsOf('unseen')).toHaveLength(1);
});

it('a run deleted while the operator is frozen leaves no streams', async () => {
  await startAndWait('hurried');
  expect(await streamsOf('hurried')).toHaveLength(1);
  operator.child.kill('SIGSTOP');
  try {
    await scene.deleteRun('hurried');
    expect(await scene.run('hurried')).toBeUndefined();
  } finally {
    operator.child.kill('SIGCONT');
  }
  await eventually('no stream', async () => (await streamsOf('hurried')).length === 0, {
    operator,
  });
  expect(operator.output()).not.toContain('that runs have left behind'); // No sweep was needed.
});

it('the next operator cleans up a run deleted while NATS and the operator were down', async () => {
  await startAndWait('orphaned');
  await eventually('the stream', async () => (await streamsOf('orphaned')).length === 1);
  await operator.stop();
  await scene.deleteRun('orphaned');
  await eventually('the run to be gone', async () => !(await scene.run('orphaned')));
  operator = await scene.operator();
  await eventually('no stream', async () => (await streamsOf('orphaned')).length === 0, {
    operator,
  });
  expect(await streamsOf('unseen')).toHaveLength(1);
});

it('an operator with an older CRD is not ready and names the missing fields until the CRD is updated', async () => {
  const file = CRDS[1] as string;
  const definition = parse(readFileSync(file, 'utf8'));
  delete definition.spec.versions[0].schema.openAPIV3Schema.properties.status.properties.ready;
  const readiness = async () => {
    const response = await fetch(`${operator.healthUrl}/readyz`);
    return { isReady: response.ok, text: await response.text() };
  };
  await operator.stop();
  await scene.cluster.apply(stringify(definition));
  operator = await scene.operator();
  const { text } = await eventually(
    'what is missing',
    async () => {
      const answer = await readiness();
      return answer.text.includes('it lacks') && answer;
    },
    { operator },
  );
  expect(text).toContain('crds failed: CRD greedyinfomaxruns.greedyinfomax.dev is older');
  expect(text).toContain('it lacks status.ready;');
  await scene.kubectl('apply', `--filename=${file}`);
  await eventually('a ready operator', async () => (await readiness()).isReady, { operator });
});

/** Compacts etcd to its current revision. Its gateway uses JSON, with 64-bit numbers as strings. */
async function compactEtcd(url: string): Promise<void> {
  const post = async (path: string, body: object) => {
    const response = await fetch(`${url}/v3/kv/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    expect(response.ok, await response.clone().text()).toBe(true);
    return response.json() as Promise<{ header: { revision: string } }>;
  };
  const { header } = await post('range', { key: Buffer.from('\0').toString('base64') });
  await post('compaction', { revision: header.revision, physical: true });
}
