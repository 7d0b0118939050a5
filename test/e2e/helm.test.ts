import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { decodeSafetensors } from '../../trainer/src/checkpoint/safetensors.ts';
import { CHART } from '../chart/render.ts';
import { script } from '../cluster/prepare.ts';
import { BUILD_TIMEOUT, buildImage } from '../images/container.ts';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { gim } from '../support/gim.ts';
import { helm } from '../support/helm.ts';

/**
 * From `helm install` to `helm uninstall`, as on a user's cluster: the packaged chart, images built
 * from the Dockerfiles, two nodes with two (simulated) GPUs each, NATS in a pod. The tests form one
 * sequence; each continues from the one before.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const RELEASE = 'greedy-infomax';
const HOME = 'greedy-infomax-system';
const RUN = 'digits-cluster';
const MODULES = ['edges', 'strokes', 'shapes'];
const SAMPLES = 16_000;
/** The module with two trainers for part of the run. */
const SCALED = 'strokes';

const VALUES = `
registry: test.local
operator: { image: { tag: test } }
trainer: { image: { tag: test-cpu } }
nats:
  image: { repository: test.local/nats, tag: '1' }
  memoryStore: { size: 512Mi }
  resources: { requests: { cpu: 100m, memory: 640Mi }, limits: { memory: 1Gi } }
`;

interface Pod {
  metadata: { name: string; uid: string };
  spec: { nodeName: string };
  status: { phase: string; podIP: string; containerStatuses: { restartCount: number }[] };
}

let cluster: Cluster;
/** Folder of this test: the packaged chart, the exported encoder. */
let folder: string;
/** Folder behind the claim of the checkpoints. */
let volume: string;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
const release = (command: string, ...args: string[]) =>
  helm(cluster, command, RELEASE, ...args, `--namespace=${HOME}`);
const read = async (...what: string[]) => JSON.parse(await kubectl('get', ...what, '-o=json'));
const status = async () => (await read('gimrun', RUN)).status ?? {};
const moduleOf = async (wanted: string) =>
  (await status()).modules.find(({ name }: { name: string }) => name === wanted);
const trainers = async (): Promise<Pod[]> =>
  (await read('pods', '-l=app.kubernetes.io/component=trainer')).items;
const operatorPod = async (): Promise<string> => {
  const selector = `-l=app.kubernetes.io/component=operator`;
  return kubectl('get', 'pods', `-n=${HOME}`, selector, '-o=jsonpath={.items[*].metadata.uid}');
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gim-helm-test-'));
  const nats = join(ROOT, 'node_modules/.bin/nats-server');
  const images = [
    await buildImage('operator'),
    await buildImage('trainer-cpu'),
    await script('nats-image.sh', nats),
  ];
  cluster = await startCluster({ nodes: 2, gpus: 2 });
  for (const image of images) await cluster.importImage(image);
  await helm(cluster, 'package', CHART, `--destination=${folder}`);
}, CLUSTER_TIMEOUT + BUILD_TIMEOUT);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

const chart = () => join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '');

/** Returns the state of the cluster, for the message of a failed test. */
async function story(): Promise<string> {
  const parts = await Promise.all([
    kubectl('get', 'gimrun,pods', '-A', '-o=wide'),
    kubectl('describe', 'gimrun', RUN),
    kubectl('logs', `-n=${HOME}`, `deployment/${RELEASE}-operator`, '--tail=30'),
  ]);
  return parts.join('\n');
}

/**
 * Waits until `look` returns true; fails with the state of the cluster when the run fails, or after
 * `seconds`.
 */
async function until(what: string, look: () => Promise<boolean>, seconds: number): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !(await look()); ) {
    const failed = (await status()).phase === 'Failed';
    if (failed || Date.now() > end) {
      throw new Error(
        `${failed ? 'the run failed' : `${seconds} s`} before ${what}\n${await story()}`,
      );
    }
    await new Promise((done) => setTimeout(done, 500));
  }
}

it('installs from the packaged chart and prints the next steps', async () => {
  const values = join(folder, 'values.yaml');
  writeFileSync(values, VALUES);
  const wait = ['--create-namespace', '--wait', '--timeout=150s'];
  const said = await release('install', chart(), `--values=${values}`, ...wait);
  expect(said).toContain('STATUS: deployed');
  expect(said).toContain(`helm --namespace ${HOME} test ${RELEASE}`);
  expect(await kubectl('get', 'gimrun', '--all-namespaces')).toBe('');
});

it('trains in pods that have one GPU each, on two nodes', async () => {
  volume = await cluster.volumeClaim('default', 'digits-checkpoints');
  await cluster.apply(digits());
  await until('all modules train', async () => (await status()).phase === 'Training', 280);
  const pods = await trainers();
  expect(pods).toHaveLength(MODULES.length);
  expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(2);
  const gpus = await Promise.all(
    pods.map(({ metadata }) =>
      kubectl('exec', metadata.name, '--', 'node', '-p', 'process.env.NVIDIA_VISIBLE_DEVICES'),
    ),
  );
  expect(new Set(gpus).size).toBe(MODULES.length);
  for (const gpu of gpus) expect(gpu).toMatch(/^GPU-node[01]-[01]$/);
});

it('gives a module a second trainer on a free GPU, and removes it again', async () => {
  const scale = (replicas: number) =>
    kubectl('scale', `gimmod/${RUN}-${SCALED}`, `--replicas=${replicas}`);
  const ready = async (): Promise<number> => (await moduleOf(SCALED)).readyReplicas;
  await scale(2);
  await until('a second trainer', async () => (await ready()) === 2, 240);
  expect(await trainers()).toHaveLength(MODULES.length + 1);
  await scale(1);
  await until('one trainer again', async () => (await trainers()).length === MODULES.length, 240);
  expect(await moduleOf(SCALED)).toMatchObject({ replicas: 1, phase: 'Training' });
});

it('admits trainers to NATS with the credentials of their run, and no client without', async () => {
  const [nats] = (await read('pods', `-n=${HOME}`, '-l=app.kubernetes.io/component=nats')).items;
  const { podIP } = nats.status;
  await expect(connect({ servers: `nats://${podIP}:4222` })).rejects.toThrow(/authoriz/i);
  const [secret] = (await read('secrets', `-l=greedyinfomax.dev/run=${RUN}`)).items;
  const credentials = Buffer.from(secret.data['nats.creds'], 'base64').toString();
  await expect(fetch(`http://${podIP}:8222/varz`)).rejects.toThrow(); // Closed.
  const { data } = await read('secret', `${RELEASE}-nats-keys`, `-n=${HOME}`);
  const creds = Buffer.from(data['system.creds'], 'base64');
  const system = await connect({
    servers: `nats://${podIP}:4222`,
    authenticator: credsAuthenticator(creds),
  });
  const options = JSON.stringify({ auth: true, limit: 1000 });
  const answer = await system.request('$SYS.REQ.SERVER.PING.CONNZ', options);
  await system.close();
  const { connections } = answer.json<{
    data: { connections: { name?: string; authorized_user: string }[] };
  }>().data;
  for (const module of MODULES) {
    const own = connections.filter(({ name }) => name?.startsWith(`${module}-0`));
    expect(own, module).not.toHaveLength(0);
    for (const { authorized_user } of own) expect(authorized_user).toBe(userOf(credentials));
  }
});

it('passes `helm test` while a run trains', async () => {
  const said = await release('test', '--logs', '--timeout=120s');
  expect(said).toMatch(/Phase: +Succeeded[\s\S]*ok +NATS: JetStream/);
});

it('is upgraded under a run, whose pods continue', async () => {
  const before = await trainers();
  const { modules } = await status();
  const operator = await operatorPod();
  await release(
    'upgrade',
    chart(),
    '--reset-then-reuse-values',
    '--set=operator.logLevel=debug',
    '--wait',
    '--timeout=120s',
  );
  await until('another operator', async () => !(await operatorPod()).includes(operator), 240);
  const further = async () => (await status()).modules[0].samples > modules[0].samples;
  await until('the run goes on', further, 240);
  const after = await trainers();
  const uids = (pods: Pod[]) => pods.map(({ metadata }) => metadata.uid).toSorted();
  expect(uids(after)).toEqual(uids(before));
  for (const pod of after) expect(pod.status.containerStatuses[0]?.restartCount).toBe(0);
});

it('completes the run and evaluates it', async () => {
  await until('the run is complete', async () => (await status()).phase === 'Complete', 1500);
  const { modules, conditions } = await status();
  expect(modules.map(({ name }: { name: string }) => name)).toEqual(MODULES);
  for (const module of modules) {
    expect(module).toMatchObject({ phase: 'Complete', percent: 100 });
    expect(module.samples).toBeGreaterThanOrEqual(SAMPLES);
    expect(module.accuracy).toBeGreaterThan(0.12); // Chance is 0.1.
  }
  const truths = conditions.filter((condition: { status: string }) => condition.status === 'True');
  expect(truths.map(({ type }: { type: string }) => type)).toEqual(
    expect.arrayContaining(['Complete', 'Evaluated']),
  );
}, 1_600_000);

it('leaves an encoder on the volume that can be exported', async () => {
  const file = join(folder, 'encoder.safetensors');
  const { code, output } = await gim('export', join(volume, RUN), '--to', file);
  expect(code, output).toBe(0);
  const { tensors, metadata } = decodeSafetensors(readFileSync(file));
  for (const module of MODULES) {
    expect(Object.keys(tensors).some((name) => name.startsWith(`${module}.layers.`))).toBe(true);
  }
  expect(metadata.run).toBe(RUN);
  const steps = JSON.parse(metadata.modules ?? '').map(({ step }: { step: number }) => step);
  expect(steps).toEqual([SAMPLES / 32, expect.any(Number), SAMPLES / 32]);
});

it('is removed without the runs, their definitions and their checkpoints, and prints what it keeps', async () => {
  const said = await release('uninstall', '--wait', '--timeout=120s');
  expect(said).toContain('kept due to the resource policy');
  expect(said).toContain('greedyinfomaxruns.greedyinfomax.dev');
  expect(await kubectl('get', 'deployments,statefulsets', `-n=${HOME}`, '-o=name')).toBe('');
  expect((await status()).phase).toBe('Complete');
  for (const module of MODULES) {
    const files = readdirSync(join(volume, RUN, module, 'replica-0'));
    expect(files.some((name) => name.endsWith('.safetensors'))).toBe(true);
  }
});

/** The example for clusters, with fewer samples and GPUs, and an existing claim. */
function digits(): string {
  const text = readFileSync(join(ROOT, 'examples/digits-cluster.yaml'), 'utf8');
  const run = parseAllDocuments(text)
    .map((document) => document.toJS())
    .find(({ kind }) => kind === 'GreedyInfoMaxRun');
  const { spec } = run;
  // Trainers request one GPU each by default.
  spec.resources = { requests: { cpu: '300m', memory: '512Mi' }, limits: { memory: '4Gi' } };
  spec.training.samples = SAMPLES;
  spec.evaluation = { ...spec.evaluation, epochs: 5 };
  return stringify(run);
}

/** Public key that the credentials were issued for. */
function userOf(credentials: string): string {
  const [, payload = ''] = /BEGIN NATS USER JWT-+\n[^.]+\.([^.]+)\./.exec(credentials) ?? [];
  return JSON.parse(Buffer.from(payload, 'base64url').toString()).sub;
}
