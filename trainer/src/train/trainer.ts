import type { TrainedEnding } from '@greedy-infomax/crds';
import type { TakeOptions } from '../buffer/edge.ts';
import { compileModule, type ModuleProgram } from '../module/program.ts';
import { pinComputeThreads } from '../pin.ts';
import { precisionOf } from '../step/passes/bfloat16.ts';
import { Checkpoints } from './checkpoints.ts';
import type { ControlChannel } from './control-channel.ts';
import { rewindHistory } from './history.ts';
import { type Input, type InputBatch, openInput } from './input.ts';
import { Meter } from './meter.ts';
import type { TrainerOptions } from './options.ts';
import { Output } from './output.ts';
import { Peers } from './peers.ts';
import { type Facts, REPORT_EVERY, type Reporter } from './reporter.ts';
import { NO_PROGRESS } from './resume.ts';
import { Slowdown } from './slowdown.ts';
import { waitFor } from './wait.ts';

/** Everything that a trainer opens before its first step. */
export interface TrainerParts {
  program: ModuleProgram;
  checkpoints: Checkpoints;
  peers: Peers;
  /** Null if no module reads the output. */
  output: Output | null;
  input: Input;
}

/**
 * Opens a trainer: compiles the module, restores its newest checkpoint, meets its peers, and opens input and output.
 * Adds each part to `parts` as soon as it is open, so that the caller can report and close them after a failure.
 */
export async function openTrainer(
  options: TrainerOptions,
  channel: ControlChannel,
  reporter: Reporter,
  parts: Partial<TrainerParts>,
): Promise<Trainer> {
  const { config, log, nats, replica, shared, stop } = options;
  const slowdown = new Slowdown(config.name, process.env.SLOWDOWN, stop);
  reporter.enter('starting');
  const program = compileModule(config);
  parts.program = program;
  pinComputeThreads(process.env.COMPUTE_CPU);
  const precision = precisionOf(config);
  if (precision !== config.precision) {
    log.warn(
      `precision is ${config.precision}, but this machine lacks the instructions for it: training in ${precision}`,
    );
  }
  const checkpoints = await Checkpoints.open(options, channel.connection, program);
  parts.checkpoints = checkpoints;
  const { before } = checkpoints;
  if (before) reporter.meter = new Meter(before.firstLosses);
  const peers = await Peers.join(options, channel, program, before);
  parts.peers = peers;
  rewindHistory(reporter.history, program.step);
  const clientName = `${config.run.name}-${config.name}-${replica}`;
  const output = await Output.open(config, { nats, shared, clientName });
  parts.output = output;
  const input = await openInput(config, {
    nats,
    shared,
    connection: channel.connection,
    clientName,
    replica,
    position: before?.position ?? 0,
    stop,
  });
  parts.input = input;
  return new Trainer(options, channel, reporter, slowdown, {
    program,
    checkpoints,
    peers,
    output,
    input,
  });
}

/** Returns the facts of a report; zeros for parts that are not open yet. */
export function factsOf({ program, checkpoints, peers, input }: Partial<TrainerParts>): Facts {
  const before = checkpoints?.before ?? NO_PROGRESS;
  return {
    step: program?.step ?? 0,
    samplesTrained: peers?.budget.own ?? 0,
    others: peers?.budget.others,
    samplesDropped: before.dropped + (input?.dropped() ?? 0),
    samplesReused: before.reused + (input?.reused() ?? 0),
    checkpointStep: checkpoints?.step ?? null,
  };
}

/** Closes the ends of the edges that are open; logs refused messages that are not logged yet. */
export async function closeParts(
  { input, output }: Partial<TrainerParts>,
  { refusals }: Reporter,
): Promise<void> {
  if (input) refusals.note(input.refused(), 0);
  await input?.close();
  await output?.close();
}

/** One replica of one module with its input, output and checkpoints; shared by training and forwarding. */
export class Trainer {
  readonly options: TrainerOptions;
  readonly reporter: Reporter;
  readonly slowdown: Slowdown;
  readonly program: ModuleProgram;
  readonly checkpoints: Checkpoints;
  readonly peers: Peers;
  /** Null if no module reads the output. */
  readonly output: Output | null;
  readonly input: Input;
  readonly #parts: TrainerParts;
  readonly #channel: ControlChannel;
  #finished = false;

  constructor(
    options: TrainerOptions,
    channel: ControlChannel,
    reporter: Reporter,
    slowdown: Slowdown,
    parts: TrainerParts,
  ) {
    this.options = options;
    this.reporter = reporter;
    this.slowdown = slowdown;
    this.program = parts.program;
    this.checkpoints = parts.checkpoints;
    this.peers = parts.peers;
    this.output = parts.output;
    this.input = parts.input;
    this.#parts = parts;
    this.#channel = channel;
  }

  /** Reports whether every later module has spent its budget. */
  get released(): boolean {
    return this.#channel.released(this.options.config.name);
  }

  /** Ending of the training, with the checkpoint that proves it. */
  get ending(): TrainedEnding {
    const { config, replica } = this.options;
    return {
      outcome: this.#finished ? 'complete' : 'stopped',
      run: config.uid,
      module: config.name,
      replica,
      step: this.program.step,
      samples: this.peers.budget.total,
      budget: config.budget,
      checkpoint: this.checkpoints.newest,
    };
  }

  /** Marks the training as complete. */
  finish(): void {
    this.#finished = true;
    this.reporter.enter('finished');
  }

  /** Returns the next batch; null if a stop was requested or forwarding ended during the wait. */
  next(options?: TakeOptions): Promise<InputBatch | null> {
    return this.#wait((signal) => this.input.next(signal, options));
  }

  /** Sends the activations of a batch to the next module. Default of `producerStep`: the current step. */
  async send(
    batch: InputBatch,
    activations: Uint8Array,
    producerStep = this.program.step,
  ): Promise<void> {
    // A trainer that repeats steps after a restart may end last: then no trainer empties the buffer.
    if (this.released) return;
    await this.#wait(
      async (signal) => this.output?.send(batch, activations, producerStep, signal),
      () => this.released,
    );
  }

  /** Reports, writes the history and a checkpoint if they are due, and lets the event loop run. */
  async betweenSteps(): Promise<void> {
    this.#tick();
    if (this.checkpoints.isDue(this.peers.budget.spent)) await this.checkpoint({ tolerant: true });
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Writes a checkpoint. `tolerant`: reports an error instead of throwing it. */
  async checkpoint(options?: { tolerant: boolean }): Promise<void> {
    const { samplesTrained, others, samplesDropped, samplesReused } = factsOf(this.#parts);
    const progress = {
      samples: samplesTrained,
      others,
      position: this.input.position(),
      firstLosses: [...this.reporter.meter.firstLosses],
      dropped: samplesDropped,
      reused: samplesReused,
    };
    await this.checkpoints.save(progress, options);
    this.reporter.message = this.checkpoints.problem?.message;
  }

  /** Waits for an edge and reports meanwhile, because no step runs. Returns null if the wait became pointless. */
  #wait<T>(work: (signal: AbortSignal) => Promise<T>, isOver = () => false): Promise<T | null> {
    const tick = () => {
      this.#tick();
      const { phase } = this.reporter;
      if (phase === 'training' && this.peers.budget.spent) return true;
      return isOver() || (phase === 'forwarding' && this.released);
    };
    return waitFor(work, { stop: this.options.stop, tick, every: REPORT_EVERY / 4 });
  }

  #tick(): void {
    this.reporter.tick();
    this.reporter.refusals.note(this.input.refused());
  }
}
