import type { Averaging, RunId } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { ModuleProgram } from '../module/program.ts';
import { meanOf, openRule, type Rule } from './rules.ts';
import type { Snapshot } from './snapshot.ts';
import { LIVE, WeightExchange } from './weight-exchange.ts';
import { FlatWeights } from './weights.ts';

/** Maximum milliseconds that a new trainer waits for weights of its peers, and milliseconds between two reads. */
const WAIT_FOR_WEIGHTS = 30_000;
const LOOK_EVERY = 250;
/** Reads per round of the weights that peers have published. */
const LOOKS = 10;
/** Own rounds without a snapshot of a peer until the peer counts as gone. */
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
 * Averages the weights of a module with several trainers. Each trainer publishes its weights every `everySteps` steps and
 * combines new weights of its peers with its own by the rule. No trainer waits for another.
 */
export class WeightAveraging {
  readonly #program: ModuleProgram;
  readonly #options: WeightAveragingOptions;
  readonly #weights: FlatWeights;
  readonly #exchange: WeightExchange;
  readonly #rule: Rule;
  /** Number of trainers of the module, as far as known. */
  #trainers = 1;
  #lastRound = 0;
  /** Start of the last round, in milliseconds since the epoch. */
  #lastRoundAt = Date.now();
  /** Duration of the last round in milliseconds. */
  #roundTook = 0;

  /** Joins the peers. `newcomer`: has no checkpoint, so it starts from the weights of a peer, if there are any. */
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
      // Moments that are not zero belong to other weights; the next steps replace them.
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

  /** Sets the number of trainers. Publishes weights for new trainers to start from. */
  async share(trainers: number): Promise<void> {
    const grows = trainers > this.#trainers;
    this.#trainers = trainers;
    if (grows) await this.#tolerant(() => this.#publish());
  }

  /** Publishes the weights if a round is due, or `now`, and averages with those of the peers. Call after each step. */
  async average({ now = false } = {}): Promise<void> {
    const { everySteps } = this.#options.averaging;
    const steps = this.#program.step - this.#lastRound;
    if (this.#trainers < 2 || steps < 1) return;
    const isRound = now || steps >= everySteps;
    // Reads often: weights that are half a round old would set the trainer back.
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

  /** Runs a round. A missing server costs this round, not the training. */
  async #tolerant(round: () => Promise<unknown>): Promise<void> {
    try {
      await round();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'cannot average weights; training continues');
    }
  }
}

/** Returns the snapshot with the most steps. A newcomer waits for a recent one, then accepts an old one. */
async function newest(
  exchange: WeightExchange,
  { replica, stop }: WeightAveragingOptions,
  trainers: number,
  newcomer: boolean,
): Promise<Snapshot | undefined> {
  const until = Date.now() + (newcomer && replica > 0 ? WAIT_FOR_WEIGHTS : 0);
  for (;;) {
    const isLast = stop.aborted || Date.now() >= until;
    // A single trainer may succeed one that has just left.
    const all = Math.max(2, trainers);
    const found = await exchange.fresh(all, isLast ? Infinity : LIVE).catch(() => []);
    if (found.length > 0 || isLast) {
      return found.toSorted((a, b) => b.step - a.step)[0];
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}
