import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ConnectionOptions } from '@nats-io/transport-node';
import { credsFile } from '../../operator/src/local/nats-server.ts';
import { connectionOptions } from '../../operator/src/nats/connection.ts';

/** Runs the command line as a user would and inspects its files and processes. */

const ROOT = resolve(import.meta.dirname, '../..');

export interface GimProcess {
  child: ChildProcess;
  /** Output so far. */
  output(): string;
  /** Resolves with the exit code. */
  exited: Promise<number | null>;
}

export function startGim(...args: string[]): GimProcess {
  const child = spawn(join(ROOT, 'bin/gim'), args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data: Buffer) => {
      text += data.toString();
    });
  }
  const exited = new Promise<number | null>((done) => child.on('close', (code) => done(code)));
  return { child, output: () => text, exited };
}

export async function gim(...args: string[]): Promise<{ code: number | null; output: string }> {
  const run = startGim(...args);
  const code = await run.exited;
  return { code, output: run.output() };
}

export const tempFolder = (): string => mkdtempSync(join(tmpdir(), 'greedy-infomax-test-'));

/** A run small enough for a test: three modules with few channels on the digits. */
export function tinyRun(folder: string, changes: (run: string) => string = (run) => run): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'run.yaml');
  writeFileSync(file, changes(TINY));
  return file;
}

export const TINY = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata:
  name: tiny
spec:
  data:
    format: digits
  augmentation:
    pad: 0
    crop: 24
  patches:
    size: 8
    stride: 4
  modules:
    - name: one
      layers:
        - { type: conv, channels: 8, stride: 2 }
    - name: two
      layers:
        - { type: residual, channels: 16, stride: 2 }
    - name: three
      layers:
        - { type: residual, channels: 16 }
  objective:
    type: infoNCE
    predictionSteps: 3
  optimizer:
    learningRate: 0.001
  batchSize: 16
  training:
    samples: 8000
  buffers:
    depth: 64
  checkpoints:
    everySeconds: 1
    keep: 3
  evaluation:
    epochs: 5
`;

/** Options to connect to `url`: the server that the run in `out` started itself, or another one. */
export function natsOptions(url: string, out: string): ConnectionOptions {
  const creds = credsFile(out);
  return connectionOptions({ url, ...(existsSync(creds) && { creds }) });
}

/** Process ids of the trainers that write below `out`, by module. */
export function trainerPids(out: string): Map<string, number> {
  const pids = new Map<string, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const args = argumentsOf(Number(pid));
    const at = args.indexOf('--out');
    const folder = args[at + 1] ?? '';
    if (
      at > 0 &&
      folder.startsWith(resolve(out)) &&
      args.some((arg) => arg.endsWith('trainer/src/main.ts'))
    ) {
      pids.set(folder.slice(folder.lastIndexOf('/') + 1), Number(pid));
    }
  }
  return pids;
}

/** Process id of the nats-server whose files are below `out`. */
export function natsPid(out: string): number | undefined {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      const args = argumentsOf(pid);
      return (
        (args[0] ?? '').endsWith('nats-server') && args.some((arg) => arg.includes(resolve(out)))
      );
    });
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // The process has ended meanwhile.
  }
}

export const checkpoints = (out: string, module: string): string[] => {
  const folder = join(out, 'modules', module);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.safetensors'))
    .toSorted()
    .map((name) => join(folder, name));
};

/** Waits until `condition` holds; throws an error that names `what` after `seconds`. */
export async function until(condition: () => boolean, what: string, seconds = 240): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`timed out after ${seconds} s waiting for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
