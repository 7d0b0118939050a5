import { execFileSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { USER_ID } from '../../operator/src/plan/kubernetes/names.ts';
import { CLUSTER_TIMEOUT, type Cluster, NODE_IMAGE, startCluster } from '../support/cluster.ts';
import { script } from './prepare.ts';

/**
 * Tests two nodes: Services and names between them, shared storage, and the faults that tests can
 * inject.
 */

let cluster: Cluster;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
/** Runs a JavaScript program in a pod; resolves with its output. */
const inPod = (name: string, body: string) =>
  kubectl('exec', name, '--', 'node', '--input-type=module', '--eval', body);
const ready = (...names: string[]) =>
  kubectl('wait', '--for=condition=Ready', ...names.map((name) => `pod/${name}`), '--timeout=60s');

describe.skipIf(process.env.GIM_TEST_KUBECONFIG)('a cluster with two nodes', () => {
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2, gpus: 2 });
    await cluster.apply(pod('asker', 'node0', 'setInterval(() => {}, 1e6)'));
    await cluster.apply(pod('web', 'node1', WEB_SERVER));
    await cluster.apply(service('web', {}));
    await cluster.apply(service('webs', { clusterIP: 'None' }));
    await ready('asker', 'web');
  }, CLUSTER_TIMEOUT);
  afterAll(() => cluster?.stop());

  it('lets a pod connect by name to a Service whose pod is on the other node', async () => {
    for (const name of ['web', 'web.default', 'web.default.svc', 'web.default.svc.cluster.local']) {
      // A node's kube-proxy learns of a ready pod slightly later than the API server.
      await expect.poll(() => inPod('asker', fetching(`http://${name}`))).toBe('hello from web');
    }
  });

  it('resolves the pods of a headless Service, all of them and each by its host name', async () => {
    const address = await kubectl('get', 'pod', 'web', '--output=jsonpath={.status.podIP}');
    const lookup = (name: string) => inPod('asker', resolving(name));
    expect(await lookup('webs.default.svc')).toBe(address);
    expect(await lookup('web.webs.default.svc.cluster.local')).toBe(address);
    expect(await lookup('other.webs.default.svc.cluster.local')).toBe('ENOTFOUND');
    expect(await lookup('nothing.default.svc')).toBe('ENOTFOUND');
  });

  it('withdraws an unhealthy GPU until it is healthy', async () => {
    const offered = () =>
      kubectl('get', 'node', 'node1', '--output=jsonpath={.status.allocatable.nvidia\\.com/gpu}');
    const ill = join(cluster.folder, 'node1/sick-gpus/GPU-node1-0');
    expect(await offered()).toBe('2');
    writeFileSync(ill, '');
    await expect.poll(offered).toBe('1');
    unlinkSync(ill);
    await expect.poll(offered).toBe('2');
  });

  it('offers the GPUs again after a restart of the kubelet', async () => {
    const log = join(cluster.folder, 'node1/gpus.log');
    const offers = () => readFileSync(log, 'utf8').match(/offering 2/g)?.length;
    expect(offers()).toBe(1);
    await cluster.kill('kubelet', 'node1');
    await cluster.restart('kubelet', 'node1');
    await expect.poll(offers).toBe(2);
    const resources = { limits: { 'nvidia.com/gpu': 2 } };
    await cluster.apply(pod('greedy', 'node1', '', { resources }));
    await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/greedy');
  });

  it('creates claims that all nodes share and trainers may write to', async () => {
    const folder = await cluster.volumeClaim('default', 'shared');
    const volumes = [{ name: 'shared', persistentVolumeClaim: { claimName: 'shared' } }];
    const securityContext = { runAsUser: USER_ID, runAsGroup: USER_ID };
    const spec = { volumes, securityContext };
    const container = { volumeMounts: [{ name: 'shared', mountPath: '/shared' }] };
    const fs = "import fs from 'node:fs';";
    const writes = `${fs} fs.writeFileSync('/shared/file', 'written')`;
    const reads = `${fs} console.log(fs.readFileSync('/shared/file', 'utf8'))`;
    await cluster.apply(pod('writes', 'node0', writes, container, spec));
    await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/writes');
    await cluster.apply(pod('reads', 'node1', reads, container, spec));
    await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/reads');
    expect(await kubectl('logs', 'reads')).toBe('written');
    expect(statSync(join(folder, 'file')).uid).toBe(USER_ID);
  });

  it('runs an imported image on every node', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gim-image-'));
    await cluster.importImage(await retagged(folder, 'test.local/imported:1'));
    rmSync(folder, { recursive: true });
    for (const node of cluster.nodes) {
      const container = { image: 'test.local/imported:1', command: ['/pause'] };
      await cluster.apply(pod(`imported-${node}`, node, '', container));
    }
    await ready(...cluster.nodes.map((node) => `imported-${node}`));
  });

  it('keeps containers running during a restart of the API server', async () => {
    const before = await containerOf('web');
    await cluster.restartApiServer();
    expect(await containerOf('web')).toBe(before);
    expect(await inPod('asker', FETCH)).toBe('hello from web');
  });

  it('delays packets on a slow link, and restores it', async () => {
    const asked = async () => Number(await inPod('asker', TIMED_FETCH));
    await cluster.link('node1', { delayMs: 300 });
    expect(await asked()).toBeGreaterThanOrEqual(600); // Milliseconds of a round trip.
    await cluster.link('node1', {});
    expect(await inPod('asker', FETCH)).toBe('hello from web');
  });

  it('limits the rate of a narrow link', async () => {
    await cluster.link('node1', { rateMbit: 2 });
    const milliseconds = Number(await inPod('asker', TIMED_DOWNLOAD));
    // 250 kB are 2 Mbit; 0.2 s of them may wait in front of the link.
    expect(milliseconds).toBeGreaterThanOrEqual(800);
    await cluster.link('node1', {});
  });

  it('drops everything on a cut link until it is restored', async () => {
    await cluster.link('node1', { cut: true });
    expect(await inPod('asker', FETCH)).toBe('TimeoutError');
    await cluster.link('node1', {});
    expect(await inPod('asker', FETCH)).toBe('hello from web');
  });

  it('refuses to cut off the control plane or an unknown node', async () => {
    await expect(cluster.link('node0', { cut: true })).rejects.toThrow('control plane');
    await expect(cluster.killNode('node7')).rejects.toThrow('node0, node1');
  });

  it('loses a node with all its containers, and detects the loss', async () => {
    expect(processesWith(MARK)).not.toEqual([]);
    await cluster.killNode('node1');
    await expect.poll(() => processesWith(MARK)).toEqual([]);
    const status = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}';
    await expect.poll(() => kubectl('get', 'node', 'node1', status)).toBe('Unknown');
    expect(await kubectl('get', 'node', 'node0', status)).toBe('True');
  });
});

const MARK = `web-server-${process.pid}`;
const WEB_SERVER = `// ${MARK}
  import http from 'node:http';
  const answer = { '/': 'hello from web', '/large': Buffer.alloc(250_000) };
  http.createServer((request, response) => response.end(answer[request.url])).listen(8080)`;

const fetching = (
  url: string,
) => `await fetch('${url}', { signal: AbortSignal.timeout(3000) }).then(
  async (response) => console.log(await response.text()), (error) => console.log(error.name));
  process.exit() // the attempt to connect would go on`;
const FETCH = fetching('http://web');
const timed = (url: string) => `const start = Date.now();
  await (await fetch('${url}')).arrayBuffer();
  console.log(Date.now() - start)`;
const TIMED_FETCH = timed('http://web');
const TIMED_DOWNLOAD = timed('http://web/large');

const resolving = (name: string) => `import dns from 'node:dns/promises';
  dns.lookup('${name}').then(({ address }) => console.log(address), ({ code }) => console.log(code))`;

const service = (name: string, spec: object) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  });

/** A pod of one Node.js program, with additional fields of its container and its spec. */
const pod = (name: string, node: string, body: string, container: object = {}, spec: object = {}) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      nodeName: node,
      hostname: name,
      subdomain: `${name}s`,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      ...spec,
      containers: [
        {
          name: 'node',
          image: NODE_IMAGE,
          command: ['node', '--input-type=module', '--eval', body],
          ...(name === 'web' && {
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          }),
          ...container,
        },
      ],
    },
  });

const containerOf = (name: string) =>
  kubectl('get', 'pod', name, '--output=jsonpath={.status.containerStatuses[0].containerID}');

/** An archive of the pause image under another name, created in `folder`. */
async function retagged(folder: string, tag: string): Promise<string> {
  const images = await script('images.sh', await script('debs.sh'), process.execPath);
  execFileSync('tar', ['-xf', join(images, 'pause.tar'), '-C', folder]);
  const file = join(folder, 'manifest.json');
  const [manifest] = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify([{ ...manifest, RepoTags: [tag] }]));
  const archive = join(folder, 'image.tar');
  const files = ['config.json', 'layer.tar', 'manifest.json'];
  execFileSync('tar', ['-cf', archive, '-C', folder, ...files]);
  return archive;
}

/** Processes of this machine whose command line contains `text`. */
const processesWith = (text: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false; // The process has ended meanwhile.
    }
  });
