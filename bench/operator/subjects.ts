import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Resource, RUNS } from '../../operator/src/kube/resource.ts';
import { makeCertificate } from '../../operator/src/kube/testing/certificate.ts';
import { aRun, CRDS } from '../../test/faults/scene.ts';
import { freePort, startNats } from '../../test/support/nats.ts';
import { compileOperator, startOperator } from '../../test/support/operator.ts';

/** Controllers to compare: each creates three Jobs of one pod for every object. */

export interface Running {
  pid: number;
  /** Responds with 200 when the controller is ready. */
  readyUrl: string;
  /** Prometheus metrics; null if they need a token. */
  metricsUrl: string | null;
  kill(): Promise<void>;
}

export interface Subject {
  name: string;
  crds: string[];
  resource: Resource;
  /** Label of a Job that names its owner. */
  label: string;
  object(name: string): object;
  start(kubeconfig: string): Promise<Running>;
  close(): Promise<void>;
}

const MODULES = ['first', 'second', 'third'];

/** Starts a NATS server, where the operator creates the streams of each run. */
export async function openOperator(): Promise<Subject> {
  const nats = await startNats();
  const compiled = compileOperator();
  const buffers = { depth: 32 }; // Thousands of runs must fit into one server.
  return {
    name: 'operator',
    crds: CRDS,
    resource: RUNS,
    label: 'greedyinfomax.dev/run',
    object: (name) => aRun(name, MODULES, { buffers }),
    async start(kubeconfig) {
      const operator = await startOperator({ kubeconfig, natsUrl: nats.url, compiled });
      return {
        pid: operator.child.pid as number,
        readyUrl: `${operator.healthUrl}/readyz`,
        metricsUrl: operator.metricsUrl,
        kill: operator.kill,
      };
    },
    async close() {
      await nats.stop();
      rmSync(compiled, { recursive: true });
    },
  };
}

/**
 * JobSet's controller, built from its Go module. Its webhooks are not registered, because the
 * operator has none here either; the objects contain the values that they would set.
 */
export async function openJobSet(): Promise<Subject> {
  const build = join(import.meta.dirname, 'jobset/build.sh');
  const folder = execFileSync(build, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
  const home = mkdtempSync(join(tmpdir(), 'bench-jobset-'));
  const certificates = join(home, 'k8s-webhook-server/serving-certs');
  mkdirSync(certificates, { recursive: true });
  const { key, cert } = makeCertificate();
  writeFileSync(join(certificates, 'tls.key'), key);
  writeFileSync(join(certificates, 'tls.crt'), cert);
  return {
    name: 'JobSet',
    crds: [join(folder, 'crd.yaml')],
    resource: { apiVersion: 'jobset.x-k8s.io/v1alpha2', kind: 'JobSet', plural: 'jobsets' },
    label: 'jobset.sigs.k8s.io/jobset-name',
    object: aJobSet,
    async start(kubeconfig) {
      const [health, webhook] = [await freePort(), await freePort()];
      const config = join(home, 'config.yaml');
      writeFileSync(config, configOf(webhook));
      const child = spawn(
        join(folder, 'jobset'),
        [
          `--config=${config}`,
          `--kubeconfig=${kubeconfig}`,
          `--health-probe-bind-address=127.0.0.1:${health}`,
          '--metrics-bind-address=0',
          '--zap-log-level=error',
        ],
        { env: { ...process.env, TMPDIR: home }, stdio: ['ignore', 'inherit', 'inherit'] },
      );
      return {
        pid: child.pid as number,
        readyUrl: `http://127.0.0.1:${health}/readyz`,
        metricsUrl: null,
        kill: () => killed(child),
      };
    },
    close: async () => rmSync(home, { recursive: true }),
  };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

const configOf = (webhookPort: number): string => `apiVersion: config.jobset.x-k8s.io/v1alpha1
kind: Configuration
leaderElection:
  leaderElect: false
internalCertManagement:
  enable: false
webhook:
  port: ${webhookPort}
`;

const aJobSet = (name: string): object => ({
  apiVersion: 'jobset.x-k8s.io/v1alpha2',
  kind: 'JobSet',
  metadata: { name, namespace: 'default' },
  spec: {
    successPolicy: { operator: 'All' },
    startupPolicy: { startupPolicyOrder: 'AnyOrder' },
    network: { enableDNSHostnames: false, publishNotReadyAddresses: true },
    replicatedJobs: MODULES.map((module) => ({
      name: module,
      replicas: 1,
      template: {
        spec: {
          completionMode: 'Indexed',
          template: {
            spec: {
              restartPolicy: 'OnFailure',
              containers: [{ name: 'trainer', image: 'test.local/trainer:1' }],
            },
          },
        },
      },
    })),
  },
});
