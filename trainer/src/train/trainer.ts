import { join } from 'node:path';
import { type ModuleConfig, type TrainedEnding, usesLabels } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import type { TakeOptions } from '../buffer/edge.ts';
import { compileModule, type ModuleProgram } from '../module/program.ts';
import { stepSeed } from '../module/step.ts';
import type { NatsAccess } from '../nats/connect.ts';
import { pinComputeThreads } from '../pin.ts';
import { precisionOf } from '../step/passes/bfloat16.ts';
import { Checkpoints } from './checkpoints.ts';
import { ControlChannel } from './control-channel.ts';
import { ConfigurationError, DivergedError } from './errors.ts';
import { rewindHistory } from './history.ts';
import { type Input, type InputBatch, openInput } from './input.ts';
import { Meter } from './meter.ts';
import { Output } from './output.ts';
import { Peers } from './peers.ts';
import { Refusals } from './refusals.ts';
import { REPORT_EVERY, Reporter } from './reporter.ts';
import { NO_PROGRESS, type Progress } from './resume.ts';
import { Slowdown } from './slowdown.ts';
import { waitFor } from './wait.ts';

/** Milliseconds that a module which only forwards waits while the next one has enough. */
const FORWARD_PAUSE = 20;

export interface TrainerOptions {
  config: ModuleConfig;
  /** Folder of the checkpoints and the history. */
  out: string;
  nats: NatsAccess;
  /** Folder in memory that the trainers of a machine share. Default: all that modules exchange goes through NATS. */
  shared?: string;
  replica: number;
  log: Logger;
  /** Aborted when a clean stop is asked for. */
  stop: AbortSignal;
}

/**
 * Trains one replica of one module until its budget is spent, then forwards until the operator says that
 * no later module needs it. Returns how the training ended; null if it was stopped before it began. Throws a
 * `DivergedError` if the loss is not finite and a `ConfigurationError` if the configuration cannot work.
 */
export async function train(options: TrainerOptions): Promise<TrainedEnding | null> {
  const { log, stop } = options;
  // A server that does not come is waited for, but not beyond a stop.
  const channel = await Promise.race([openChannel(options), aborted(stop)]);
  if (channel === null) return null;
  const trainer = new Trainer(options, channel);
  try {
    await trainer.open();
    await trainer.trainToBudget();
    await trainer.forwardUntilReleased();
    return trainer.ending;
  } catch (error) {
    log.error({ err: error }, 'training failed');
    trainer.reportFailure(error as Error);
    throw error;
  } finally {
    await trainer.close();
    await channel.close();
  }
}

const openChannel = ({ config, nats, replica }: TrainerOptions): Promise<ControlChannel> =>
  ControlChannel.open({
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
  #finished = false;
  readonly #options: TrainerOptions;
  readonly #config: ModuleConfig;
  readonly #channel: ControlChannel;
  readonly #history: string;
  readonly #reporter: Reporter;
  readonly #slowdown: Slowdown;
  #checkpoints!: Checkpoints;
  #program!: ModuleProgram;
  #input: Input | null = null;
  #output: Output | null = null;
  #peers: Peers | null = null;
  readonly #refusals: Refusals;

  constructor(options: TrainerOptions, channel: ControlChannel) {
    this.#options = options;
    this.#config = options.config;
    this.#channel = channel;
    this.#history = join(options.out, 'history.jsonl');
    this.#reporter = new Reporter(options, channel, this.#history, () => ({
      step: this.#program?.step ?? 0,
      samplesTrained: this.#peers?.budget.own ?? 0,
      others: this.#peers?.budget.others,
      samplesDropped: this.#dropped(),
      samplesReused: this.#reused(),
      checkpointStep: this.#checkpoints?.step ?? null,
    }));
    this.#refusals = new Refusals(options.log);
    this.#slowdown = new Slowdown(options.config.name, process.env.SLOWDOWN, options.stop);
  }

  async open(): Promise<void> {
    const { config, nats, shared, replica } = this.#options;
    this.#reporter.enter('starting');
    this.#program = compileModule(config);
    pinComputeThreads(process.env.COMPUTE_CPU);
    const precision = precisionOf(config);
    if (precision !== config.precision) {
      this.#options.log.warn(
        `precision is ${config.precision}, which this machine has no instructions for: training in ${precision}`,
      );
    }
    this.#checkpoints = await Checkpoints.open(
      this.#options,
      this.#channel.connection,
      this.#program,
    );
    const { before } = this.#checkpoints;
    if (before) this.#reporter.meter = new Meter(before.firstLosses);
    this.#peers = await Peers.join(this.#options, this.#channel, this.#program, before);
    rewindHistory(this.#history, this.#program.step);
    const clientName = `${config.run.name}-${config.name}-${replica}`;
    this.#output = await Output.open(config, { nats, shared, clientName });
    this.#input = await openInput(config, {
      nats,
      shared,
      connection: this.#channel.connection,
      clientName,
      replica,
      position: this.#before.position,
      stop: this.#options.stop,
    });
  }

  /** What was done before this process started. */
  get #before(): Progress {
    return this.#checkpoints?.before ?? NO_PROGRESS;
  }

  get #spent(): boolean {
    return this.#peers?.budget.spent ?? false;
  }

  /** Whether every later module has had all that it may. */
  get #released(): boolean {
    return this.#channel.released(this.#config.name);
  }

  /** Steps until the module's budget is spent or a stop is asked for; ends with a checkpoint either way. */
  async trainToBudget(): Promise<void> {
    const { stop, log } = this.#options;
    if (!this.#spent) this.#reporter.enter('training');
    while (!this.#spent && !stop.aborted) {
      await this.#peers?.follow(this.#input, this.#output);
      const batch = await this.#next();
      if (batch === null) break;
      await this.#trainOn(batch);
      await this.#peers?.averaging.average();
      await this.#housekeeping();
    }
    await this.#peers?.averaging.average({ now: true });
    // What the whole training has made is worth waiting for a disk that is full.
    if (!this.#checkpoints.upToDate) await this.#checkpoint({ tolerant: this.#spent });
    log.info(
      { step: this.#program.step, samples: this.#peers?.budget.own },
      this.#checkpoints.upToDate
        ? 'checkpoint written; done training'
        : 'done training; no checkpoint of it yet',
    );
  }

  /** A module that has learned what it may goes on feeding those behind it. */
  async forwardUntilReleased(): Promise<void> {
    const { stop } = this.#options;
    if (!this.#spent) return;
    if (this.#output) this.#reporter.enter('forwarding');
    while (!stop.aborted && this.#output && !this.#released) {
      await this.#peers?.follow(this.#input, this.#output);
      if (await this.#output.isAhead()) {
        await new Promise((resolve) => setTimeout(resolve, FORWARD_PAUSE));
      } else {
        // The same sample twice would be the same activations twice.
        const batch = await this.#next({ unused: true });
        if (batch === null) break;
        const began = performance.now();
        const { activations } = this.#program.run('forward', { batch: batch.bytes });
        await this.#slowdown.after(performance.now() - began);
        await this.#send(batch, activations as Uint8Array);
        batch.done();
      }
      await this.#housekeeping();
    }
    await this.#untilSaved();
    this.#finished = true;
    this.#reporter.enter('finished');
  }

  /** Tries on until the last checkpoint is written; a stop ends that, and throws what is in the way. */
  async #untilSaved(): Promise<void> {
    const { stop } = this.#options;
    while (!this.#checkpoints.upToDate && !stop.aborted) {
      await new Promise((resolve) => setTimeout(resolve, FORWARD_PAUSE));
      await this.#housekeeping();
    }
    if (!this.#checkpoints.upToDate) await this.#checkpoint();
  }

  /** How the training ended, with the checkpoint that proves it. */
  get ending(): TrainedEnding {
    const { config, replica } = this.#options;
    return {
      outcome: this.#finished ? 'complete' : 'stopped',
      run: config.uid,
      module: config.name,
      replica,
      step: this.#program.step,
      samples: this.#peers?.budget.total ?? 0,
      budget: config.budget,
      checkpoint: this.#checkpoints.newest,
    };
  }

  reportFailure(error: Error): void {
    this.#reporter.message = error.message;
    this.#reporter.enter('failed');
  }

  async close(): Promise<void> {
    if (this.#input) this.#refusals.note(this.#input.refused(), 0);
    await this.#input?.close();
    await this.#output?.close();
  }

  async #trainOn(batch: InputBatch): Promise<void> {
    const { batchSize, name } = this.#config;
    if (usesLabels(this.#config.objective) && batch.labels.includes(-1)) {
      throw new ConfigurationError(
        `module ${name}: objective ${this.#config.objective.type} got samples without labels; give it a data set with labels, or use infoNCE`,
      );
    }
    const madeBy = this.#program.step;
    const began = performance.now();
    const { loss, activations } = this.#program.run('train', {
      batch: batch.bytes,
      labels: batch.labels,
      seed: stepSeed(this.#config, this.#options.replica, madeBy),
    });
    const value = loss?.[0] ?? Number.NaN;
    if (!Number.isFinite(value)) throw this.#diverged(value);
    await this.#slowdown.after(performance.now() - began);
    if (activations) await this.#send(batch, activations as Uint8Array, madeBy);
    batch.done();
    if (this.#peers) this.#peers.budget.own += batchSize;
    this.#reporter.meter.add({
      at: performance.now(),
      loss: value,
      samples: batchSize,
      stalenessSteps: batch.stalenessSteps,
      stalenessSeconds: batch.stalenessSeconds,
    });
  }

  #diverged(loss: number): DivergedError {
    return new DivergedError(
      `module ${this.#config.name}: the loss is ${loss} at step ${this.#program.step}; ${this.#checkpoints.describe()}; try a smaller learning rate`,
    );
  }

  /** The next batch; null when a stop was asked for, or forwarding is over, while it was awaited. */
  #next(options?: TakeOptions): Promise<InputBatch | null> {
    return this.#wait((signal) => (this.#input as Input).next(signal, options));
  }

  async #send(batch: InputBatch, activations: Uint8Array, producerStep = this.#program.step) {
    // One that repeats steps after a restart may come to its end last: nobody would empty the buffer for it.
    if (this.#released) return;
    await this.#wait(
      async (signal) => this.#output?.send(batch, activations, producerStep, signal),
      () => this.#released,
    );
  }

  /** Waits for the edge. Meanwhile nothing else runs here, so reports need a clock; the end of what is waited for ends the wait with null. */
  #wait<T>(work: (signal: AbortSignal) => Promise<T>, isOver = () => false): Promise<T | null> {
    const tick = () => {
      this.#reporter.tick();
      if (this.#input) this.#refusals.note(this.#input.refused());
      const { phase } = this.#reporter;
      if (phase === 'training' && this.#spent) return true;
      return isOver() || (phase === 'forwarding' && this.#released);
    };
    return waitFor(work, { stop: this.#options.stop, tick, every: REPORT_EVERY / 4 });
  }

  /** Between steps: report, history, checkpoint, and a turn for the event loop. */
  async #housekeeping(): Promise<void> {
    this.#reporter.tick();
    if (this.#input) this.#refusals.note(this.#input.refused());
    if (this.#checkpoints.isDue(this.#spent)) {
      await this.#checkpoint({ tolerant: true });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #checkpoint(options?: { tolerant: boolean }): Promise<void> {
    const progress = {
      samples: this.#peers?.budget.own ?? 0,
      others: this.#peers?.budget.others,
      position: this.#input?.position() ?? 0,
      firstLosses: [...this.#reporter.meter.firstLosses],
      dropped: this.#dropped(),
      reused: this.#reused(),
    };
    await this.#checkpoints.save(progress, options);
    this.#reporter.message = this.#checkpoints.problem?.message;
  }

  #dropped = (): number => this.#before.dropped + (this.#input?.dropped() ?? 0);
  #reused = (): number => this.#before.reused + (this.#input?.reused() ?? 0);
}
