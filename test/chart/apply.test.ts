import { afterAll, beforeAll, expect, it } from 'vitest';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { manifest, NAMESPACE } from './render.ts';

/**
 * Applies the rendered chart, hooks included, with `kubectl apply` on a real API server without
 * nodes.
 */

let cluster: Cluster;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
const BOUNDS = ['requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

beforeAll(async () => {
  cluster = await startCluster({ nodes: 0 });
  await kubectl('create', 'namespace', NAMESPACE);
  const hard = BOUNDS.map((name) => `${name}=${name.endsWith('cpu') ? 20 : '40Gi'}`).join(',');
  await kubectl('create', 'quota', 'all', `--hard=${hard}`, `--namespace=${NAMESPACE}`);
  const limit = { type: 'Container', max: { cpu: '4', memory: '8Gi' }, min: { cpu: '10m' } };
  await cluster.apply(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'bounds', namespace: NAMESPACE },
      spec: { limits: [limit] },
    }),
  );
}, CLUSTER_TIMEOUT);

afterAll(async () => cluster?.stop());

const components = async (): Promise<string[]> => {
  const label = '{.items[*].metadata.labels.app\\.kubernetes\\.io/component}';
  const found = await kubectl('get', 'pods', `-n=${NAMESPACE}`, `-o=jsonpath=${label}`);
  return found.split(' ').toSorted();
};

it('every pod of the chart starts under a quota that counts requests and limits', async () => {
  await cluster.apply(await manifest());
  await expect.poll(components).toEqual(['install-check', 'nats', 'nats-auth', 'operator']);
});

it.each<[string, object]>([
  ['another tag', { operator: { image: { tag: '0.2.0' } } }],
  ['other pods', { operator: { nodeSelector: { pool: 'a' } }, hooks: { podLabels: { a: 'b' } } }],
  ['NATS with files', { nats: { fileStore: { enabled: true } } }],
])('the chart is applied again with %s', async (_, values) => {
  const said = await cluster.apply(await manifest(values));
  expect(said).toMatch(/deployment\.apps\/greedy-infomax-operator (configured|unchanged)/);
});
