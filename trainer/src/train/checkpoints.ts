import type { ModuleConfig } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { CheckpointBucket } from '../checkpoint/bucket.ts';
import { CheckpointStore, type SavedCheckpoint } from '../checkpoint/store.ts';
import type { ModuleProgram } from '../module/program.ts';
import { configHash, type Progress, restoreCheckpoint, saveCheckpoint } from './resume.ts';

/** Seconds between attempts to write the checkpoint of a training that is over. */
const LAST_CHECKPOINT_RETRY = 5;

interface Options {
  config: ModuleConfig;
  /** Folder of the checkpoints, where no bucket holds them. */
  out: string;
  replica: number;
  log: Logger;
}

/** Which checkpoints of a trainer are there, and when it is time for another. */
export class Checkpoints {
  /** What the newest one holds; null if there was none. */
  before: Progress | null = null;
  /** Why the last could not be written. */
  problem: Error | null = null;
  readonly #options: Options;
  readonly #program: ModuleProgram;
  readonly #store: CheckpointStore;
  /** Of the clock that nobody sets. */
  #triedAt = performance.now();

  private constructor(options: Options, program: ModuleProgram, store: CheckpointStore) {
    this.#options = options;
    this.#program = program;
    this.#store = store;
  }

  /** Puts the newest good checkpoint, if there is one, into `program`. */
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
    for (const { file, why } of skipped)
      log.warn({ file, why }, 'passed over a damaged checkpoint');
    if (progress) {
      checkpoints.before = progress;
      const { samples } = progress;
      log.info({ step: program.step, samples }, 'going on from a checkpoint');
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

  /** Whether the newest one is of the step that the program is at. */
  get upToDate(): boolean {
    return this.step === this.#program.step;
  }

  /** Whether it is time for another; sooner where the training is over and has none of its end yet. */
  isDue(trainingIsOver: boolean): boolean {
    const { everySeconds } = this.#options.config.checkpoints;
    const every = trainingIsOver ? Math.min(LAST_CHECKPOINT_RETRY, everySeconds) : everySeconds;
    return !this.upToDate && performance.now() - this.#triedAt >= every * 1000;
  }

  /** `tolerant`: a full disk costs this checkpoint, not the training; the old ones are intact. */
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
        'could not write a checkpoint',
      );
    }
  }

  /** For people: where training can go on from. */
  describe(): string {
    if (this.step === null) return 'there is no checkpoint yet';
    const { config, out } = this.#options;
    const where = config.checkpoints.storage?.objectStore ? '' : ` in ${out}`;
    return `the last good checkpoint is that of step ${this.step}${where}`;
  }
}
