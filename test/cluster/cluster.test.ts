import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  CHECKOUT_VOLUMES,
  CLUSTER_TIMEOUT,
  type Cluster,
  CommandError,
  NODE_IMAGE,
  startCluster,
} from '../support/cluster.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const definitions = ['greedyinfomaxmodules', 'greedyinfomaxruns'].map(
  (name) => `--filename=${join(ROOT, 'crds', `${name}.yaml`)}`,
);
const digits = readFileSync(join(ROOT, 'examples/digits.yaml'), 'utf8');

/** Output of a refused command. */
const refusal = async (command: Promise<string>): Promise<string> => {
  const error = await command.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CommandError);
  return (error as CommandError).message;
};

describe('a control plane', () => {
  let cluster: Cluster;
  const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 0 });
    await kubectl('apply', ...definitions);
    await cluster.crdsEstablished();
    await cluster.apply(digits);
  }, CLUSTER_TIMEOUT);
  afterAll(() => cluster?.stop());

  it('accepts both resource definitions without warnings', async () => {
    const conditions = 'jsonpath={.items[*].status.conditions[?(@.type=="NonStructuralSchema")]}';
    const names = await kubectl('get', 'crd', '--output=name');
    expect(names).toContain('greedyinfomaxruns.greedyinfomax.dev');
    expect(names).toContain('greedyinfomaxmodules.greedyinfomax.dev');
    expect(await kubectl('get', 'crd', `--output=${conditions}`)).toBe('');
  });

  it('accepts both resource definitions a second time without a change', async () => {
    const again = await kubectl('apply', ...definitions);
    expect(again.split('\n').every((line) => line.endsWith('unchanged'))).toBe(true);
  });

  it('explains every field of a run', async () => {
    const text = await kubectl('explain', 'gimrun.spec');
    const fields = text.split('\n').filter((line) => /^ {2}\w+\t/.test(line));
    expect(fields.map((line) => line.trim().split('\t')[0])).toContain('modules');
    expect(text).not.toContain('<no description>');
  });

  it('stores the digits example unchanged', async () => {
    const modules = await kubectl('get', 'gimrun', 'digits', '-o=jsonpath={.spec.modules[*].name}');
    expect(modules).toBe('edges strokes shapes');
    expect(await cluster.apply(digits)).toContain('unchanged');
  });

  it('refuses an edit of layers and says what to do', async () => {
    const edited = digits.replace('channels: 64, stride: 2', 'channels: 48, stride: 2');
    expect(edited).not.toBe(digits);
    expect(await refusal(cluster.apply(edited))).toContain('layers cannot change; make a new run');
  });

  it('refuses a field that does not exist and names it', async () => {
    const edited = digits.replace('batchSize:', 'batchsize:');
    expect(await refusal(cluster.apply(edited))).toContain('spec.batchsize');
  });

  it('scales a module through the scale subresource', async () => {
    await cluster.apply(MODULE);
    await kubectl('scale', 'gimmod/digits-edges', '--replicas=3');
    const replicas = await kubectl('get', 'gimmod/digits-edges', '-o=jsonpath={.spec.replicas}');
    expect(replicas).toBe('3');
    const scale = await kubectl('get', 'gimmod/digits-edges', '--subresource=scale', '-o=json');
    expect(JSON.parse(scale)).toMatchObject({ kind: 'Scale', spec: { replicas: 3 } });
  });

  it('grants a service account nothing until a role does', async () => {
    const asked = ['auth', 'can-i', 'list', 'gimrun', '--as=system:serviceaccount:default:nobody'];
    expect(await refusal(kubectl(...asked))).toContain('no');
    await kubectl('create', 'clusterrole', 'reader', '--verb=list', '--resource=gimrun');
    const who = '--serviceaccount=default:nobody';
    await kubectl('create', 'clusterrolebinding', 'reader', '--clusterrole=reader', who);
    expect(await kubectl(...asked)).toBe('yes');
  });

  it.skipIf(process.env.GIM_TEST_KUBECONFIG)(
    'keeps its state over a crash of the API server',
    async () => {
      await cluster.kill('kube-apiserver');
      expect(await refusal(kubectl('get', 'gimrun'))).toContain('refused');
      await cluster.restart('kube-apiserver');
      expect(await kubectl('get', 'gimrun', '--output=name')).toContain('digits');
    },
  );
});

describe('a cluster with a node', () => {
  let cluster: Cluster;
  const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1, gpus: 2 });
  }, CLUSTER_TIMEOUT);
  afterAll(() => cluster?.stop());

  it('runs a Job to completion in a real container', async () => {
    await cluster.apply(job('sum', 'console.log(1 + 2 + 3)'));
    await kubectl('wait', '--for=condition=Complete', 'job/sum', '--timeout=60s');
    expect(await kubectl('logs', 'job/sum')).toBe('6');
  });

  it('fails a Job whose process fails, with its exit code', async () => {
    await cluster.apply(job('fails', 'process.exit(42)'));
    await kubectl('wait', '--for=condition=Failed', 'job/fails', '--timeout=60s');
    const state = '{.items[0].status.containerStatuses[0].state.terminated.exitCode}';
    const pods = ['get', 'pods', '--selector=job-name=fails', `--output=jsonpath=${state}`];
    expect(await kubectl(...pods)).toBe('42');
  });

  it('lets a container connect to the API server at its service address', async () => {
    const address = 'https://10.96.0.1/version';
    const body = `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; console.log((await (await fetch('${address}')).json()).kind ?? 'answer')`;
    await cluster.apply(job('asks', body));
    await kubectl('wait', '--for=condition=Complete', 'job/asks', '--timeout=60s');
    expect(await kubectl('logs', 'job/asks')).toContain('answer');
  });

  it('runs TensorFlow from this checkout, without root and on a read-only file system', async () => {
    const body =
      "const { tf } = await import('/app/trainer/src/tf.ts'); console.log('sum', tf.tensor([1, 2, 3]).sum().dataSync()[0])";
    const volumes = CHECKOUT_VOLUMES.map(({ name, hostPath }) => ({ name, hostPath }));
    const volumeMounts = CHECKOUT_VOLUMES.map(({ hostPath: _, ...mount }) => mount);
    const securityContext = { runAsUser: 1000, readOnlyRootFilesystem: true };
    await cluster.apply(job('tensorflow', body, { securityContext, volumeMounts }, { volumes }));
    await kubectl('wait', '--for=condition=Complete', 'job/tensorflow', '--timeout=60s');
    expect(await kubectl('logs', 'job/tensorflow')).toContain('sum 6');
  });

  it('offers simulated GPUs and keeps a pod pending that requests more', async () => {
    await cluster.apply(job('greedy', '0', { resources: { limits: { 'nvidia.com/gpu': 3 } } }));
    const message = '{.items[0].status.conditions[?(@.type=="PodScheduled")].message}';
    const pods = ['get', 'pods', '--selector=job-name=greedy', `--output=jsonpath=${message}`];
    await expect.poll(() => kubectl(...pods)).toContain('Insufficient nvidia.com/gpu');
    const body = 'console.log(process.env.NVIDIA_VISIBLE_DEVICES.split(",").sort().join(" "))';
    await cluster.apply(job('modest', body, { resources: { limits: { 'nvidia.com/gpu': 2 } } }));
    await kubectl('wait', '--for=condition=Complete', 'job/modest', '--timeout=60s');
    expect(await kubectl('logs', 'job/modest')).toBe('GPU-node0-0 GPU-node0-1');
  });

  it.skipIf(process.env.GIM_TEST_KUBECONFIG)(
    'survives the loss of its only node, whose containers end',
    async () => {
      const mark = `waits-${process.pid}`;
      await cluster.apply(job('waits', `setInterval(() => {}, 1e6); // ${mark}`));
      const containers = () =>
        allProcesses().filter((line) => line.includes(mark) && !line.includes('kubectl'));
      await expect.poll(() => containers().length).toBe(1);
      await cluster.killNode('node0');
      await expect.poll(containers).toEqual([]);
      expect(await kubectl('get', 'job', 'waits', '--output=name')).toBe('job.batch/waits');
    },
  );
});

describe.skipIf(process.env.GIM_TEST_KUBECONFIG)('the end of a cluster', () => {
  it('leaves no process and no file behind', { timeout: CLUSTER_TIMEOUT }, async () => {
    const cluster = await startCluster({ nodes: 0 });
    expect(processesOf(cluster)).not.toEqual([]);
    await cluster.stop();
    expect(processesOf(cluster)).toEqual([]);
    expect(existsSync(cluster.folder)).toBe(false);
  });

  it('ends its containers when its keeper is killed', {
    timeout: CLUSTER_TIMEOUT,
  }, async () => {
    const killed = await startCluster({ nodes: 1 });
    await killed.apply(job('waits', 'setInterval(() => {}, 1e6)'));
    const phase = '--output=jsonpath={.items[*].status.phase}';
    const phases = () => killed.exec('kubectl', 'get', 'pods', '--selector=job-name=waits', phase);
    await expect.poll(phases).toBe('Running');

    process.kill(keeperOf(killed), 'SIGKILL');
    await expect.poll(() => processesOf(killed)).toEqual([]);

    const next = await startCluster({ nodes: 0 });
    expect(existsSync(killed.folder)).toBe(false);
    await next.stop();
  });
});

describe('GIM_TEST_KUBECONFIG', () => {
  it('names an existing cluster that is used and left running', {
    timeout: CLUSTER_TIMEOUT,
  }, async () => {
    const own = await startCluster({ nodes: 0 });
    vi.stubEnv('GIM_TEST_KUBECONFIG', own.kubeconfig);
    vi.stubEnv('KUBEBUILDER_ASSETS', own.path);
    const given = await startCluster({ nodes: 0 });
    vi.unstubAllEnvs();
    expect(await given.exec('kubectl', 'get', 'namespaces')).toContain('kube-system');
    await given.stop();
    expect(await own.exec('kubectl', 'get', '--raw=/readyz')).toBe('ok');
    await own.stop();
  });
});

describe('KUBEBUILDER_ASSETS', () => {
  it('replaces a build', { timeout: CLUSTER_TIMEOUT }, async () => {
    const assets = mkdtempSync(join(tmpdir(), 'assets-'));
    const built = await startCluster({ nodes: 0 });
    for (const name of ['etcd', 'kube-apiserver', 'kubectl']) {
      symlinkSync(join(built.path, name), join(assets, name));
    }
    await built.stop();
    vi.stubEnv('KUBEBUILDER_ASSETS', assets);
    const cluster = await startCluster({ nodes: 0 });
    vi.unstubAllEnvs();
    expect(cluster.path).toBe(assets);
    expect(await cluster.exec('kubectl', 'get', 'namespaces')).toContain('kube-system');
    await cluster.stop();
    rmSync(assets, { recursive: true });
  });
});

const keeperOf = (cluster: Cluster): number => Number(basename(cluster.folder).split('-')[2]);

/**
 * Command lines of the processes that work in a cluster's folder; those of containers are their
 * shims.
 */
const processesOf = (cluster: Cluster): string[] =>
  allProcesses().filter((line) => line.includes(cluster.folder));

const allProcesses = (): string[] =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map(commandLine);

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // The process has ended meanwhile.
  }
}

const MODULE = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxModule
metadata:
  name: digits-edges
spec:
  runName: digits
  index: 0
`;

/** A Job of one Node.js program, with additional fields of its container and its pod. */
const job = (name: string, body: string, container: object = {}, pod: object = {}) =>
  JSON.stringify({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      backoffLimit: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          ...pod,
          containers: [
            {
              name: 'node',
              image: NODE_IMAGE,
              command: ['node', '--input-type=module', '--eval', body],
              ...container,
            },
          ],
        },
      },
    },
  });
