import type { ModuleConfig } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { CheckpointBucket } from '../checkpoint/bucket.ts';
import { configHash } from '../checkpoint/config-hash.ts';
import { CheckpointStore, type SavedCheckpoint } from '../checkpoint/store.ts';
import type { ModuleProgram } from '../module/program.ts';
import { type Progress, restoreCheckpoint, saveCheckpoint } from './resume.ts';

/** Seconds between attempts to write the checkpoint of a training that is over. */
const LAST_CHECKPOINT_RETRY = 5;

interface Options {
  config: ModuleConfig;
  /** Folder of the checkpoints, unless a bucket holds them. */
  out: string;
  replica: number;
  log: Logger;
}

/** Checkpoints of a trainer: the newest one, and when the next one is due. */
export class Checkpoints {
  /** Progress that was restored at the start; null without a checkpoint. */
  before: Progress | null = null;
  /** Why the last checkpoint could not be written; null after a success. */
  problem: Error | null = null;
  readonly #options: Options;
  readonly #program: ModuleProgram;
  readonly #store: CheckpointStore;
  /** Time of the last attempt on the monotonic clock, in milliseconds. */
  #triedAt = performance.now();

  private constructor(options: Options, program: ModuleProgram, store: CheckpointStore) {
    this.#options = options;
    this.#program = program;
    this.#store = store;
  }

  /** Opens the folder or bucket and restores its newest valid checkpoint, if any, into `program`. */
  static async open(
    options: Options,
    connection: NatsConnection,
    program: ModuleProgram,
  ): Promise<Checkpoints> {
    const { config, out, replica, log } = options;
    const place =
      config.checkpoints.storage?.objectStore === undefined
        ? out
        : (await CheckpointBucket.open(connection, { ...config.run, uid: config.uid })).files(
            config.name,
            replica,
          );
    const store = new CheckpointStore(place, {
      keep: config.checkpoints.keep,
      configHash: configHash(config),
    });
    const checkpoints = new Checkpoints(options, program, store);
    const { progress, skipped } = await restoreCheckpoint(store, program);
    for (const { file, why } of skipped) log.warn({ file, why }, 'skipped a damaged checkpoint');
    if (progress) {
      checkpoints.before = progress;
      const { samples } = progress;
      log.info({ step: program.step, samples }, 'continuing from a checkpoint');
    }
    return checkpoints;
  }

  /** Newest checkpoint; null if there is none. */
  get newest(): SavedCheckpoint | null {
    return this.#store.newest;
  }

  /** Step of the newest checkpoint; null if there is none. */
  get step(): number | null {
    return this.newest?.step ?? null;
  }

  /** Reports whether the newest checkpoint is of the program's current step. */
  get upToDate(): boolean {
    return this.step === this.#program.step;
  }

  /** Reports whether a checkpoint is due. After the training, retries of the last one come sooner. */
  isDue(trainingIsOver: boolean): boolean {
    const { everySeconds } = this.#options.config.checkpoints;
    const every = trainingIsOver ? Math.min(LAST_CHECKPOINT_RETRY, everySeconds) : everySeconds;
    return !this.upToDate && performance.now() - this.#triedAt >= every * 1000;
  }

  /** Writes a checkpoint. `tolerant`: sets `problem` on an error instead of throwing it; older checkpoints are intact. */
  async save(progress: Progress, { tolerant = false } = {}): Promise<void> {
    this.#triedAt = performance.now();
    try {
      await saveCheckpoint(this.#store, this.#program, progress);
      this.problem = null;
    } catch (error) {
      if (!tolerant) throw error;
      this.problem = error as Error;
      this.#options.log.error(
        { err: error, step: this.#program.step },
        'cannot write a checkpoint',
      );
    }
  }

  /** Returns a clause for messages: the checkpoint that training can continue from. */
  describe(): string {
    if (this.step === null) return 'there is no checkpoint yet';
    const { config, out } = this.#options;
    const where = config.checkpoints.storage?.objectStore ? '' : ` in ${out}`;
    return `the last valid checkpoint is of step ${this.step}${where}`;
  }
}
