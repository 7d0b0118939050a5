import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ModuleConfig } from '@greedy-infomax/crds';
import { peerModule } from './cases.ts';
import type { Turn } from './own.ts';

/** The PyTorch process that the trainer's step is compared with. */

export type PeerMethod = 'eager' | 'compiled';

/** The process exited unexpectedly. */
class PeerError extends Error {
  override readonly name = 'PeerError';
}

export class Peer {
  readonly version: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** Installs PyTorch if it is missing. */
  static async start(device: 'cpu' | 'cuda', threads: number): Promise<Peer> {
    const python = execFileSync(join(import.meta.dirname, 'peer.sh'), {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }).trim();
    const child = spawn(
      python,
      [join(import.meta.dirname, 'peer.py'), '--device', device, '--threads', String(threads)],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        // Its threads wait by spinning, which makes a step up to 50 times as slow when another
        // process runs.
        env: { OMP_WAIT_POLICY: 'PASSIVE', ...process.env },
      },
    );
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { version } = await answerOf<{ version: string }>(lines);
    return new Peer(child, lines, version);
  }

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, version: string) {
    this.#child = child;
    this.#lines = lines;
    this.version = version;
  }

  /** Creates the module and discards the previous one. */
  build(config: ModuleConfig): Promise<{ parameters: number }> {
    return this.#ask({ module: peerModule(config), precision: config.precision });
  }

  run(method: PeerMethod, seconds: number): Promise<Turn> {
    return this.#ask({ method, seconds });
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }

  #ask<Answer>(request: object): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    return answerOf<Answer>(this.#lines);
  }
}

async function answerOf<Answer>(lines: AsyncIterator<string>): Promise<Answer> {
  const { value, done } = await lines.next();
  if (done) throw new PeerError('PyTorch exited before it responded; see its output above');
  return JSON.parse(value) as Answer;
}
