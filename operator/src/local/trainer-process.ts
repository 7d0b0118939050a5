import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  decodeTrainerEnding,
  EXIT,
  makeFolder,
  provesCompletion,
  type Report,
} from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import { restartDecision } from '../plan/restart.ts';
import type { Share } from '../plan/threads.ts';
import { Pulse } from './heartbeat.ts';
import { killWithParent } from './watchdog.ts';

/** Starts, watches, restarts and stops a trainer process of a module. */

/** Command of a trainer, without --config, --out and --nats. */
export const TRAINER_COMMAND: readonly string[] = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, '../../../trainer/src/main.ts'),
];

/** Time for a trainer's checkpoint after its parent has died, in seconds. */
const ORPHAN_SECONDS = 20;

export interface TrainerOptions {
  module: string;
  /** Index of the trainer in its module. */
  replica: number;
  /** Path of the module's configuration. */
  config: string;
  /** Folder of the trainer's output. */
  folder: string;
  natsUrl: string;
  command: readonly string[];
  env: NodeJS.ProcessEnv;
  log: Logger;
}

/** `idle`: not started yet. `waiting`: waits for a restart. `done`: completed. `failed`: is not restarted. */
export type TrainerState = 'idle' | 'running' | 'waiting' | 'done' | 'stopped' | 'failed';

export class Trainer {
  readonly module: string;
  readonly replica: number;
  state: TrainerState = 'idle';
  /** Reason for no further restart; set in the state `failed`. */
  failure: string | undefined;
  /** True if it was stopped without a checkpoint of its last step. */
  isUnsaved = false;
  /** Number of restarts. */
  restarts = 0;
  readonly #options: TrainerOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  /** Consecutive exits without progress. Progress is a step beyond the highest of all attempts. */
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

  /** Starts the process. It resumes from its newest checkpoint. */
  start(): void {
    const { config, folder, natsUrl, command, env, replica } = this.#options;
    const [program = process.execPath, ...args] = command;
    makeFolder(folder);
    rmSync(this.#endingFile, { force: true }); // written by an earlier attempt
    const log = openSync(this.logFile, 'a');
    const pulse = new Pulse(join(folder, 'progress'));
    const child = spawn(
      program,
      [
        ...args,
        ...['--config', config, '--out', folder, '--nats', natsUrl, '--replica', String(replica)],
      ],
      {
        // The trainer stops with a checkpoint when this pipe closes, however this process dies.
        stdio: ['pipe', log, log],
        env: { ...env, PROGRESS_FILE: pulse.file, TERMINATION_LOG: this.#endingFile },
        // Ctrl-C must reach only this process, which stops the trainers gracefully.
        detached: true,
      },
    );
    closeSync(log);
    killWithParent(child, ORPHAN_SECONDS);
    child.stdin?.on('error', () => {}); // the pipe breaks if the trainer exits first
    this.#child = child;
    this.#pulse = pulse;
    this.state = 'running';
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        // Without a process id it never ran, so no exit event follows.
        if (child.pid === undefined) this.#fail(`cannot start ${program}: ${error.message}`);
        resolve();
      });
      child.once('exit', (exitCode, signal) => {
        this.#onExit(exitCode, signal);
        resolve();
      });
    });
  }

  /** Records progress. Distinguishes a crash loop from a process that progresses between crashes. */
  noteProgress({ step }: Report): void {
    if (step <= this.#furthestStep) return;
    this.#furthestStep = step;
    this.#attempts = 0;
  }

  /** Asks the process to stop with a checkpoint and kills it after `graceMs`. Resolves when it has ended. */
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

  /** Kills a process without a heartbeat for `hungAfterMs`. It is restarted like one that crashed. */
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
    else if (this.#stopping) {
      this.state = 'stopped';
      this.isUnsaved = exitCode !== EXIT.stopped;
    } else if (decision.action === 'fail') this.#fail(decision.why);
    else {
      this.state = 'waiting';
      this.#timer = setTimeout(() => this.restart(), decision.afterSeconds * 1000);
    }
  }

  /** Path of the file in which the trainer records how its training ended. */
  get #endingFile(): string {
    return join(this.#options.folder, 'ending.json');
  }

  /** Reports whether the trainer's ending file proves completion: an exit code alone does not. */
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

  /** Restarts the process, unless it is stopping. */
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
 * Returns the environment of a trainer; variables that the user set take precedence. Every step allocates and frees
 * batches of many megabytes: huge pages make copying them about 4 times as fast.
 */
export function trainerEnv(
  env: NodeJS.ProcessEnv,
  { threads, cores }: Share = { threads: availableParallelism(), cores: null },
  replica = 0,
): NodeJS.ProcessEnv {
  // Users who set the number of threads may also want other cores: do not pin.
  const cpu = USERS_THREADS.some((name) => env[name]) ? undefined : cpuOf(cores?.[replica]);
  return {
    OMP_NUM_THREADS: String(threads), // trainer/src/threads.ts reads it
    TF_CPP_MIN_LOG_LEVEL: '2',
    GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
    ...(cpu !== undefined && { COMPUTE_CPU: String(cpu) }), // trainer/src/pin.ts reads it
    ...env,
  };
}

const USERS_THREADS = ['OMP_NUM_THREADS', 'TF_NUM_INTEROP_THREADS', 'TF_NUM_INTRAOP_THREADS'];

/** Returns the system's number of a core of this process, or undefined if a CPU quota limits it to fewer than allowed. */
function cpuOf(core: number | undefined): number | undefined {
  if (core === undefined) return undefined;
  const cpus = allowedCpus();
  return cpus.length === availableParallelism() ? cpus[core] : undefined;
}

/** Returns the allowed CPUs. Linux lists them as in `0-3,8`. */
function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  return list.split(',').flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}
