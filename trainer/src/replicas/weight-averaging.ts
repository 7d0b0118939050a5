import type { Averaging, RunId } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { ModuleProgram } from '../module/program.ts';
import { meanOf, openRule, type Rule } from './rules.ts';
import type { Snapshot } from './snapshot.ts';
import { LIVE, WeightExchange } from './weight-exchange.ts';
import { FlatWeights } from './weights.ts';

/** Milliseconds that a trainer without weights of its own waits for those of others, and between two looks. */
const WAIT_FOR_WEIGHTS = 30_000;
const LOOK_EVERY = 250;
/** Looks, in a round, at what others have published since. */
const LOOKS = 10;
/** Own rounds that another trainer may take for one of its before it counts as gone. */
const MISSED_ROUNDS = 3;

export interface WeightAveragingOptions {
  averaging: Averaging;
  run: RunId;
  module: string;
  replica: number;
  log: Logger;
  stop: AbortSignal;
}

/**
 * The weights of a module that has several trainers. Each publishes its own every so many steps. Whoever sees others'
 * new ones goes on with what the rule makes of them and of its own. Nobody waits, so nobody is missed.
 */
export class WeightAveraging {
  readonly #program: ModuleProgram;
  readonly #options: WeightAveragingOptions;
  readonly #weights: FlatWeights;
  readonly #exchange: WeightExchange;
  readonly #rule: Rule;
  /** Trainers of the module, as far as this one has heard. */
  #trainers = 1;
  #lastRound = 0;
  /** Milliseconds since the epoch. */
  #lastRoundAt = Date.now();
  /** Milliseconds. */
  #roundTook = 0;

  /** `newcomer`: without a checkpoint; such a one starts from the weights of others, if there are any. */
  static async join(
    connection: NatsConnection,
    program: ModuleProgram,
    options: WeightAveragingOptions,
    trainers: number,
    newcomer: boolean,
  ): Promise<WeightAveraging> {
    const { run, module, replica } = options;
    const weights = new FlatWeights(program);
    const exchange = new WeightExchange(connection, {
      run,
      module,
      replica,
      weights: weights.length,
    });
    const snapshot = await newest(exchange, options, trainers, newcomer);
    if (snapshot && (newcomer || snapshot.step > program.step)) {
      weights.assign(snapshot.weights);
      // The moments are of other weights if they are not zero; the next steps replace them.
      if (newcomer) program.momentsFrom = snapshot.step;
      else program.momentsFrom += snapshot.step - program.step;
      program.step = snapshot.step;
      options.log.info({ step: snapshot.step }, 'continuing from the weights of a peer');
    }
    return new WeightAveraging(program, options, weights, exchange);
  }

  private constructor(
    program: ModuleProgram,
    options: WeightAveragingOptions,
    weights: FlatWeights,
    exchange: WeightExchange,
  ) {
    this.#program = program;
    this.#options = options;
    this.#weights = weights;
    this.#exchange = exchange;
    this.#rule = openRule(options.averaging, weights.read());
    this.#lastRound = program.step;
  }

  /** Tells how many trainers there are now. When others come, they find weights to start from. */
  async share(trainers: number): Promise<void> {
    const grows = trainers > this.#trainers;
    this.#trainers = trainers;
    if (grows) await this.#tolerant(() => this.#publish());
  }

  /** To be called after each step: publishes if it is time to, or `now`, and averages with what others have published. */
  async average({ now = false } = {}): Promise<void> {
    const { everySteps } = this.#options.averaging;
    const steps = this.#program.step - this.#lastRound;
    if (this.#trainers < 2 || steps < 1) return;
    const isRound = now || steps >= everySteps;
    // Weights that were published half a round ago would hold back those that have moved on since.
    const looks = steps % Math.max(1, Math.floor(everySteps / LOOKS)) === 0;
    if (isRound) this.#beginRound();
    if (isRound || looks) {
      await this.#tolerant(async () => {
        if (isRound) await this.#publish();
        await this.#takeIn();
      });
    }
  }

  #beginRound(): void {
    this.#lastRound = this.#program.step;
    this.#roundTook = Date.now() - this.#lastRoundAt;
    this.#lastRoundAt += this.#roundTook;
  }

  async #takeIn(): Promise<void> {
    const maxAge = Math.max(LIVE, MISSED_ROUNDS * this.#roundTook);
    const others = await this.#exchange.fresh(this.#trainers, maxAge);
    if (others.length === 0) return;
    const own = this.#weights.read();
    const mean = meanOf([own, ...others.map(({ weights }) => weights)]);
    this.#weights.assign(this.#rule.next(own, mean));
  }

  async #publish(): Promise<void> {
    await this.#exchange.publish(this.#program.step, this.#weights.read());
  }

  /** A server that is gone costs this round, not the training. */
  async #tolerant(round: () => Promise<unknown>): Promise<void> {
    try {
      await round();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'cannot average weights; training continues');
    }
  }
}

/** The snapshot with the most steps. A newcomer among others waits for a new one; an old one is better than none. */
async function newest(
  exchange: WeightExchange,
  { replica, stop }: WeightAveragingOptions,
  trainers: number,
  newcomer: boolean,
): Promise<Snapshot | undefined> {
  const until = Date.now() + (newcomer && replica > 0 ? WAIT_FOR_WEIGHTS : 0);
  for (;;) {
    const isLast = stop.aborted || Date.now() >= until;
    // Whoever trains alone may follow one that has just left.
    const all = Math.max(2, trainers);
    const found = await exchange.fresh(all, isLast ? Infinity : LIVE).catch(() => []);
    if (found.length > 0 || isLast) {
      return found.toSorted((a, b) => b.step - a.step)[0];
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}
