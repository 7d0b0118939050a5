import { join } from 'node:path';
import type { ModuleConfig } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import { openSink, type Sink } from '../buffer/edge.ts';
import { CheckpointStore } from '../checkpoint/store.ts';
import { compileModule, type ModuleProgram } from '../model/module.ts';
import type { NatsAccess } from '../nats.ts';
import { ConfigurationError, DivergedError } from './errors.ts';
import { type Feed, type FeedBatch, openFeed } from './feed.ts';
import { rewindHistory } from './history.ts';
import { Messenger } from './messenger.ts';
import { Meter } from './meter.ts';
import { REPORT_EVERY, Reporter } from './reporter.ts';
import { configHash, NO_PROGRESS, restoreCheckpoint, saveCheckpoint } from './resume.ts';

/** Milliseconds that a module which only forwards waits while the next one has enough. */
const FORWARD_PAUSE = 20;
/** Milliseconds that the end of a trainer waits for its last activations to be taken. */
const FLUSH_WITHIN = 2000;

export interface TrainerOptions {
  config: ModuleConfig;
  /** Folder of the checkpoints and the history. */
  out: string;
  nats: NatsAccess;
  replica: number;
  log: Logger;
  /** Aborted when a clean stop is asked for. */
  stop: AbortSignal;
}

/**
 * Trains one replica of one module until its budget is spent, then forwards until the operator says that
 * no later module needs it. Returns true if it got so far, false if it was stopped before. Throws a
 * `DivergedError` for a loss that is no number and a `ConfigurationError` for what cannot work.
 */
export async function train(options: TrainerOptions): Promise<boolean> {
  const { log, stop } = options;
  // A server that does not come is waited for, but not beyond a stop.
  const messenger = await Promise.race([openMessenger(options), aborted(stop)]);
  if (messenger === null) return false;
  const trainer = new Trainer(options, messenger);
  try {
    await trainer.open();
    await trainer.trainToBudget();
    await trainer.forwardUntilReleased();
    return trainer.finished;
  } catch (error) {
    log.error({ err: error }, 'training failed');
    trainer.reportFailure(error as Error);
    throw error;
  } finally {
    await trainer.close();
    await messenger.close();
  }
}

const openMessenger = ({ config, nats, replica }: TrainerOptions): Promise<Messenger> =>
  Messenger.open({
    ...nats,
    run: { ...config.run, uid: config.uid },
    module: config.name,
    replica,
  });

const aborted = (signal: AbortSignal): Promise<null> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });

class Trainer {
  finished = false;
  readonly #options: TrainerOptions;
  readonly #config: ModuleConfig;
  readonly #messenger: Messenger;
  readonly #store: CheckpointStore;
  readonly #history: string;
  readonly #reporter: Reporter;
  #program!: ModuleProgram;
  #feed: Feed | null = null;
  #sink: Sink | null = null;
  #before = NO_PROGRESS;
  #samples = 0;
  #checkpointStep: number | null = null;
  #checkpointAt = 0;

  constructor(options: TrainerOptions, messenger: Messenger) {
    this.#options = options;
    this.#config = options.config;
    this.#messenger = messenger;
    this.#history = join(options.out, 'history.jsonl');
    this.#reporter = new Reporter(options, messenger, this.#history, () => ({
      step: this.#program?.step ?? 0,
      samplesTrained: this.#samples,
      samplesDropped: this.#dropped(),
      samplesReused: this.#reused(),
      checkpointStep: this.#checkpointStep,
    }));
    this.#store = new CheckpointStore(options.out, {
      keep: options.config.checkpoints.keep,
      configHash: configHash(options.config),
    });
  }

  async open(): Promise<void> {
    const { config, nats, log, replica } = this.#options;
    this.#reporter.enter('starting');
    this.#program = compileModule(config);
    const { progress, skipped } = await restoreCheckpoint(this.#store, this.#program);
    for (const { file, why } of skipped)
      log.warn({ file, why }, 'passed over a damaged checkpoint');
    if (progress) {
      this.#before = progress;
      this.#samples = progress.samples;
      this.#reporter.meter = new Meter(progress.firstLosses);
      this.#checkpointStep = this.#program.step;
      log.info({ step: this.#program.step, samples: this.#samples }, 'going on from a checkpoint');
    }
    rewindHistory(this.#history, this.#program.step);
    const clientName = `${config.run.name}-${config.name}-${replica}`;
    if (config.sink) {
      this.#sink = await openSink({
        ...nats,
        edge: config.sink,
        batchSize: config.batchSize,
        clientName,
      });
    }
    this.#feed = await openFeed(config, { nats, clientName, position: this.#before.position });
    this.#checkpointAt = Date.now();
  }

  /** Steps until the budget is spent or a stop is asked for; ends with a checkpoint either way. */
  async trainToBudget(): Promise<void> {
    const { stop, log } = this.#options;
    const { budget } = this.#config;
    if (this.#samples < budget) this.#reporter.enter('training');
    while (this.#samples < budget && !stop.aborted) {
      const batch = await this.#next();
      if (batch === null) break;
      await this.#trainOn(batch);
      await this.#housekeeping();
    }
    if (this.#checkpointStep !== this.#program.step) await this.#checkpoint();
    log.info(
      { step: this.#program.step, samples: this.#samples },
      'checkpoint written; done training',
    );
  }

  /** A module that has learned what it may goes on feeding those behind it. */
  async forwardUntilReleased(): Promise<void> {
    const { stop } = this.#options;
    if (this.#samples < this.#config.budget) return;
    if (this.#sink) this.#reporter.enter('forwarding');
    while (!stop.aborted && this.#sink && !this.#messenger.released(this.#config.name)) {
      if (await this.#nextModuleHasEnough(this.#sink)) {
        await new Promise((resolve) => setTimeout(resolve, FORWARD_PAUSE));
      } else {
        const batch = await this.#next();
        if (batch === null) break;
        const { activations } = this.#program.run('forward', { batch: batch.bytes });
        await this.#send(batch, activations as Uint8Array);
        batch.done();
      }
      await this.#housekeeping();
    }
    this.finished = true;
    this.#reporter.enter('finished');
  }

  reportFailure(error: Error): void {
    this.#reporter.message = error.message;
    this.#reporter.enter('failed');
  }

  async close(): Promise<void> {
    await this.#feed?.close();
    // What was put is worth sending, but not worth waiting for a server that is gone.
    await Promise.race([
      this.#sink?.flush(),
      new Promise((r) => setTimeout(r, FLUSH_WITHIN).unref()),
    ]);
    await this.#sink?.close();
  }

  async #trainOn(batch: FeedBatch): Promise<void> {
    const { seed, batchSize, name } = this.#config;
    if (this.#config.objective.type === 'classLabels' && batch.labels.includes(-1)) {
      throw new ConfigurationError(
        `module ${name}: objective classLabels got samples without labels; give it a data set with labels, or use infoNCE`,
      );
    }
    const madeBy = this.#program.step;
    const { loss, activations } = this.#program.run('train', {
      batch: batch.bytes,
      labels: batch.labels,
      // The step makes every draw another; module and replica are told apart by where they stand in the seed.
      seed: Int32Array.of(
        seed + this.#config.index * 65_537 + this.#options.replica * 257,
        madeBy * 64,
      ),
    });
    const value = loss?.[0] ?? Number.NaN;
    if (!Number.isFinite(value)) throw this.#diverged(value);
    if (activations) await this.#send(batch, activations as Uint8Array, madeBy);
    batch.done();
    this.#samples += batchSize;
    this.#reporter.meter.add({
      at: Date.now(),
      loss: value,
      samples: batchSize,
      stalenessSteps: batch.stalenessSteps,
      stalenessSeconds: batch.stalenessSeconds,
    });
  }

  #diverged(loss: number): DivergedError {
    const good =
      this.#checkpointStep === null
        ? 'there is no checkpoint yet'
        : `the last good checkpoint is that of step ${this.#checkpointStep} in ${this.#options.out}`;
    return new DivergedError(
      `module ${this.#config.name}: the loss is ${loss} at step ${this.#program.step}; ${good}; try a smaller learning rate`,
    );
  }

  /** The next batch; null when a stop was asked for, or forwarding is over, while it was awaited. */
  #next(): Promise<FeedBatch | null> {
    return this.#wait((signal) => (this.#feed as Feed).next(signal));
  }

  async #send(batch: FeedBatch, activations: Uint8Array, producerStep = this.#program.step) {
    const { ids, labels } = batch;
    const rows = { bytes: activations, ids, labels, producerStep, madeAt: Date.now() };
    await this.#wait((signal) => (this.#sink as Sink).put(rows, signal));
  }

  /**
   * Waits for the edge. Meanwhile nothing else runs here, so reports need a clock of their own; a stop, or
   * the end of forwarding, ends the wait with null.
   */
  async #wait<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    const wait = new AbortController();
    const end = () => wait.abort();
    this.#options.stop.addEventListener('abort', end, { once: true });
    const clock = setInterval(() => {
      this.#reporter.tick();
      if (this.#reporter.phase === 'forwarding' && this.#messenger.released(this.#config.name))
        end();
    }, REPORT_EVERY / 4);
    try {
      return await work(wait.signal);
    } catch (error) {
      if (wait.signal.aborted) return null;
      throw error;
    } finally {
      clearInterval(clock);
      this.#options.stop.removeEventListener('abort', end);
    }
  }

  async #nextModuleHasEnough(sink: Sink): Promise<boolean> {
    const pending = await sink.pending();
    return pending !== null && pending >= (this.#config.sink?.depth ?? 0) / 2;
  }

  /** Between steps: report, history, checkpoint, and a turn for the event loop. */
  async #housekeeping(): Promise<void> {
    this.#reporter.tick();
    const { everySeconds } = this.#config.checkpoints;
    if (
      this.#reporter.phase === 'training' &&
      Date.now() - this.#checkpointAt >= everySeconds * 1000
    ) {
      await this.#checkpoint({ tolerant: true });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** `tolerant`: a full disk costs this checkpoint, not the training; the old ones are intact. */
  async #checkpoint({ tolerant = false } = {}): Promise<void> {
    this.#checkpointAt = Date.now();
    try {
      await saveCheckpoint(this.#store, this.#program, {
        samples: this.#samples,
        position: this.#feed?.position() ?? 0,
        firstLosses: [...this.#reporter.meter.firstLosses],
        dropped: this.#dropped(),
        reused: this.#reused(),
      });
      this.#checkpointStep = this.#program.step;
      this.#reporter.message = undefined;
    } catch (error) {
      if (!tolerant) throw error;
      this.#reporter.message = (error as Error).message;
      this.#options.log.error(
        { err: error, step: this.#program.step },
        'could not write a checkpoint',
      );
    }
  }

  #dropped = (): number => this.#before.dropped + (this.#feed?.dropped() ?? 0);
  #reused = (): number => this.#before.reused + (this.#feed?.reused() ?? 0);
}
