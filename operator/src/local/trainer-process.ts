import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  decodeTrainerEnding,
  makeFolder,
  provesCompletion,
  type Report,
} from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import { restartDecision } from '../plan/restart.ts';
import type { Share } from '../plan/threads.ts';
import { Pulse } from './heartbeat.ts';
import { killWithParent } from './watchdog.ts';

/** A trainer process of a module: started, watched, started again, stopped. */

/** What a trainer is run with, before --config, --out and --nats. */
export const TRAINER_COMMAND: readonly string[] = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, '../../../trainer/src/main.ts'),
];

/** What a trainer whose parent has died gets for its checkpoint. */
const ORPHAN_SECONDS = 20;

export interface TrainerOptions {
  module: string;
  /** Number of the trainer among those of the module. */
  replica: number;
  /** What the module is told. */
  config: string;
  /** Where the trainer writes. */
  folder: string;
  natsUrl: string;
  command: readonly string[];
  env: NodeJS.ProcessEnv;
  log: Logger;
}

/** `idle`: not started yet. `waiting`: ended, to be started again. `done`: ended well. `failed`: not started again. */
export type TrainerState = 'idle' | 'running' | 'waiting' | 'done' | 'stopped' | 'failed';

export class Trainer {
  readonly module: string;
  readonly replica: number;
  state: TrainerState = 'idle';
  /** Why it is not started again; with the state `failed`. */
  failure: string | undefined;
  /** Starts after the first. */
  restarts = 0;
  readonly #options: TrainerOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  /** Ends in a row without progress, which is a step beyond what any attempt has reached. */
  #attempts = 0;
  #furthestStep = 0;
  #ended: Promise<void> = Promise.resolve();
  #pulse: Pulse | undefined;

  constructor(options: TrainerOptions) {
    this.#options = options;
    this.module = options.module;
    this.replica = options.replica;
  }

  get pid(): number | undefined {
    return this.state === 'running' ? this.#child?.pid : undefined;
  }

  get logFile(): string {
    return join(this.#options.folder, 'trainer.log');
  }

  /** Starts the process; it goes on from its newest checkpoint by itself. */
  start(): void {
    const { config, folder, natsUrl, command, env, replica } = this.#options;
    const [program = process.execPath, ...args] = command;
    makeFolder(folder);
    rmSync(this.#endingFile, { force: true }); // of an earlier attempt
    const log = openSync(this.logFile, 'a');
    const pulse = new Pulse(join(folder, 'progress'));
    const child = spawn(
      program,
      [
        ...args,
        ...['--config', config, '--out', folder, '--nats', natsUrl, '--replica', String(replica)],
      ],
      {
        // The trainer stops, with a checkpoint, when the pipe ends: with this process, however that dies.
        stdio: ['pipe', log, log],
        env: { ...env, PROGRESS_FILE: pulse.file, TERMINATION_LOG: this.#endingFile },
        // Ctrl-C is for this process, which stops the trainers in order.
        detached: true,
      },
    );
    closeSync(log);
    killWithParent(child, ORPHAN_SECONDS);
    child.stdin?.on('error', () => {}); // the pipe breaks when the trainer ends first
    this.#child = child;
    this.#pulse = pulse;
    this.state = 'running';
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        // Without a process id it never ran, and no exit follows.
        if (child.pid === undefined) this.#fail(`cannot start ${program}: ${error.message}`);
        resolve();
      });
      child.once('exit', (exitCode, signal) => {
        this.#onExit(exitCode, signal);
        resolve();
      });
    });
  }

  /** Tells a crash loop from a process that gets on between crashes. */
  noteProgress({ step }: Report): void {
    if (step <= this.#furthestStep) return;
    this.#furthestStep = step;
    this.#attempts = 0;
  }

  /** Asks for a checkpoint and the end; kills after `graceMs`. Resolves when the process has ended. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    if (this.state === 'waiting') this.state = 'stopped';
    if (this.state !== 'running') return;
    this.#child?.kill('SIGTERM');
    const killer = setTimeout(() => {
      this.#options.log.error(
        { module: this.module, replica: this.replica, graceMs },
        'did not stop; killed',
      );
      this.kill();
    }, graceMs);
    await this.#ended;
    clearTimeout(killer);
  }

  kill(): void {
    if (this.state === 'running') this.#child?.kill('SIGKILL');
  }

  /** Kills a process that has shown no sign of life for `hungAfterMs`; it is started again like one that died. */
  killIfHung(hungAfterMs: number): void {
    if (this.state !== 'running' || this.#stopping) return;
    const silentMs = this.#pulse?.silentMs() ?? 0;
    if (silentMs < hungAfterMs) return;
    const { module, replica } = this;
    this.#options.log.error({ module, replica, silentMs }, 'hangs; killed');
    this.kill();
  }

  #onExit(exitCode: number | null, signal: NodeJS.Signals | null): void {
    this.#attempts += 1;
    const isProven = this.#provesCompletion();
    const decision = restartDecision({ exitCode, signal, isProven, attempts: this.#attempts });
    const { log } = this.#options;
    log.info(
      { module: this.module, replica: this.replica, exitCode, signal, decision },
      'trainer ended',
    );
    if (decision.action === 'done') this.state = 'done';
    else if (this.#stopping) this.state = 'stopped';
    else if (decision.action === 'fail') this.#fail(decision.why);
    else {
      this.state = 'waiting';
      this.#timer = setTimeout(() => this.restart(), decision.afterSeconds * 1000);
    }
  }

  /** Where the trainer leaves how its training ended. */
  get #endingFile(): string {
    return join(this.#options.folder, 'ending.json');
  }

  /** Whether the trainer itself says that its module is complete: an exit code alone proves nothing. */
  #provesCompletion(): boolean {
    if (!existsSync(this.#endingFile)) return false;
    const ending = decodeTrainerEnding(readFileSync(this.#endingFile, 'utf8'));
    return (
      ending !== null &&
      ending.outcome !== 'failed' &&
      ending.module === this.module &&
      ending.replica === this.replica &&
      provesCompletion(ending)
    );
  }

  /** Starts the process again, unless it is being stopped. */
  restart(): void {
    if (this.#stopping) return;
    this.restarts += 1;
    this.start();
  }

  #fail(why: string): void {
    this.state = 'failed';
    this.failure = why;
  }
}

/**
 * What a trainer runs with, unless the user set it. Batches are buffers of many megabytes that are made and dropped at
 * every step: in huge pages they are copied about 4 times as fast.
 */
export function trainerEnv(
  env: NodeJS.ProcessEnv,
  { threads, cores }: Share = { threads: availableParallelism(), cores: null },
  replica = 0,
): NodeJS.ProcessEnv {
  // Who says how many threads there are may want them elsewhere, too.
  const cpu = USERS_THREADS.some((name) => env[name]) ? undefined : cpuOf(cores?.[replica]);
  return {
    OMP_NUM_THREADS: String(threads), // trainer/src/threads.ts reads it
    TF_CPP_MIN_LOG_LEVEL: '2',
    GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
    ...(cpu !== undefined && { COMPUTE_CPU: String(cpu) }), // as does trainer/src/pin.ts
    ...env,
  };
}

const USERS_THREADS = ['OMP_NUM_THREADS', 'TF_NUM_INTEROP_THREADS', 'TF_NUM_INTRAOP_THREADS'];

/** The number that the system gives to that core of this process; undefined where it may use parts of more than it counts. */
function cpuOf(core: number | undefined): number | undefined {
  if (core === undefined) return undefined;
  const cpus = allowedCpus();
  return cpus.length === availableParallelism() ? cpus[core] : undefined;
}

/** Linux says them as in `0-3,8`. */
function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  return list.split(',').flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}
