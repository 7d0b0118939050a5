import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { script } from '../cluster/prepare.ts';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { helm } from '../support/helm.ts';
import { CHART, RELEASE } from './render.ts';

/** Runs NATS in a pod of the chart on a cluster of two nodes, one of them lost. */

const ROOT = resolve(import.meta.dirname, '../..');
/**
 * Maximum wait, against hanging only: the control plane detects the loss after 20 s, and NATS moves
 * 5 s later.
 */
const MOVED_WITHIN = 300_000;

let cluster: Cluster;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

/** Nodes of the ready NATS pods. */
async function readyOn(): Promise<string[]> {
  const found = JSON.parse(
    await kubectl('get', 'pods', '-l=app.kubernetes.io/component=nats', '-o=json'),
  ) as { items: Pod[] };
  return found.items
    .filter(({ status }) => status.conditions?.some(isReady))
    .map(({ spec }) => spec.nodeName);
}
interface Pod {
  spec: { nodeName: string };
  status: { conditions?: { type: string; status: string }[] };
}
const isReady = ({ type, status }: { type: string; status: string }) =>
  type === 'Ready' && status === 'True';

const values = {
  operator: { replicas: 0 },
  nats: {
    image: { repository: 'test.local/nats', tag: '1' },
    auth: { enabled: false },
    memoryStore: { size: '64Mi' },
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    moveAfterSeconds: 5,
    // The lost node; the other one holds the control plane.
    affinity: {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          {
            weight: 1,
            preference: {
              matchExpressions: [
                { key: 'kubernetes.io/hostname', operator: 'In', values: ['node1'] },
              ],
            },
          },
        ],
      },
    },
  },
};

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2 });
  await cluster.importImage(
    await script('nats-image.sh', join(ROOT, 'node_modules/.bin/nats-server')),
  );
}, CLUSTER_TIMEOUT);

afterAll(async () => cluster?.stop());

it(
  'NATS without files starts on another node when its node is lost, behind the same Service',
  async () => {
    const wait = ['--wait', '--timeout=120s'];
    await helm(cluster, 'install', RELEASE, CHART, '--set-json', JSON.stringify(values), ...wait);
    expect(await readyOn()).toEqual(['node1']);
    await cluster.killNode('node1');
    await expect.poll(readyOn, { timeout: MOVED_WITHIN, interval: 1000 }).toEqual(['node0']);
    const labels = `-l=kubernetes.io/service-name=${RELEASE}-nats`;
    const nodes = '-o=jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].nodeName}';
    await expect.poll(() => kubectl('get', 'endpointslices', labels, nodes)).toBe('node0');
  },
  MOVED_WITHIN + 150_000,
);
