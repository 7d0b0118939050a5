import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { freePort } from './nats.ts';

/** The operator as a process, against a real API server. */

const MAIN = resolve(import.meta.dirname, '../../operator/src/kubernetes/main.ts');

export interface OperatorProcess {
  child: ChildProcess;
  healthUrl: string;
  metricsUrl: string;
  /** All output so far: JSON lines. */
  output(): string;
  exited: Promise<number | null>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

export async function startOperator(options: {
  kubeconfig: string;
  natsUrl: string;
  trainerNatsUrl?: string;
  trainerImage?: string;
  /** Further flags. */
  flags?: readonly string[];
}): Promise<OperatorProcess> {
  const [health, metrics] = [await freePort(), await freePort()];
  const child = spawn(
    process.execPath,
    [
      // As in its image.
      '--disable-warning=ExperimentalWarning',
      '--max-semi-space-size=2',
      MAIN,
      `--kubeconfig=${options.kubeconfig}`,
      `--nats=${options.natsUrl}`,
      `--trainer-nats=${options.trainerNatsUrl ?? options.natsUrl}`,
      `--trainer-image=${options.trainerImage ?? 'test.local/trainer:1'}`,
      '--lease-namespace=default',
      `--health-port=${health}`,
      `--metrics-port=${metrics}`,
      ...(options.flags ?? []),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data: Buffer) => {
      text += data.toString();
    });
  }
  const exited = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
  return {
    child,
    healthUrl: `http://127.0.0.1:${health}`,
    metricsUrl: `http://127.0.0.1:${metrics}/metrics`,
    output: () => text,
    exited,
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
