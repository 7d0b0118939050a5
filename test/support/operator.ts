import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from './nats.ts';

/** Runs the operator as a process against a real API server. */

const ROOT = resolve(import.meta.dirname, '../..');
const MAIN = join(ROOT, 'operator/src/controller/main.ts');

/** Command of the operator's image, as in its Dockerfile. */
export const ENTRYPOINT: readonly string[] = JSON.parse(
  /^ENTRYPOINT (.*)$/m.exec(readFileSync(join(ROOT, 'operator/Dockerfile'), 'utf8'))?.[1] ?? '[]',
);
const FLAGS = ENTRYPOINT.filter((part) => part.startsWith('--'));
/** Options of Node.js, as in the image. */
const ENV = { MALLOC_ARENA_MAX: '1' };

/**
 * Fills Node's compile cache for the operator's sources in a folder, for `compiled`; the caller
 * removes it. The image contains the same cache, which saves memory and start-up time.
 */
export function compileOperator(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gim-compiled-'));
  // Without arguments the operator exits once everything is loaded.
  const load = `import(${JSON.stringify(MAIN)}).then(() => { process.exitCode = 0; })`;
  const env = { ...process.env, ...ENV, LOG_LEVEL: 'silent', NODE_COMPILE_CACHE: folder };
  execFileSync(process.execPath, [...FLAGS, '--eval', load], { env });
  return folder;
}

export interface OperatorProcess {
  child: ChildProcess;
  healthUrl: string;
  metricsUrl: string;
  /** Output so far, as JSON lines. */
  output(): string;
  exited: Promise<number | null>;
  /** Sends SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

export async function startOperator(options: {
  kubeconfig: string;
  natsUrl: string;
  trainerNatsUrl?: string;
  trainerImage?: string;
  /** Folder filled by `compileOperator`. Default: compile again. */
  compiled?: string;
  /** Additional flags. */
  flags?: readonly string[];
}): Promise<OperatorProcess> {
  const [health, metrics] = [await freePort(), await freePort()];
  const child = spawn(
    process.execPath,
    [
      ...FLAGS,
      MAIN,
      `--kubeconfig=${options.kubeconfig}`,
      `--nats=${options.natsUrl}`,
      `--trainer-nats=${options.trainerNatsUrl ?? options.natsUrl}`,
      `--trainer-image=${options.trainerImage ?? 'test.local/trainer:1'}`,
      '--lease-namespace=default',
      '--allow-host-access', // CHECKOUT_VOLUMES are folders of this machine.
      `--health-port=${health}`,
      `--metrics-port=${metrics}`,
      ...(options.flags ?? []),
    ],
    {
      env: {
        ...process.env,
        ...ENV,
        ...(options.compiled !== undefined && { NODE_COMPILE_CACHE: options.compiled }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
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
