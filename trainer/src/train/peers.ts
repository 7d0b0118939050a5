import type { ModuleConfig } from '@greedy-infomax/crds';
import type { ModuleProgram } from '../module/program.ts';
import { WeightAveraging } from '../replicas/weight-averaging.ts';
import { Budget } from './budget.ts';
import type { ControlChannel } from './control-channel.ts';
import type { Input } from './input.ts';
import type { TrainerOptions } from './options.ts';
import type { Output } from './output.ts';
import type { Progress } from './resume.ts';

/** Milliseconds that a new trainer waits for the number of replicas before it assumes to be the only one. */
const CONTROL_TIMEOUT = 3000;

/** Peers of the module and replicas of the next one: the budget, the weights and the data that they share. */
export class Peers {
  readonly budget: Budget;
  readonly averaging: WeightAveraging;
  readonly #config: ModuleConfig;
  readonly #channel: ControlChannel;
  /** Numbers of replicas that were applied last; undefined before the operator published any. */
  #trainers: number | undefined;
  #readers: number | undefined;

  /** `before`: progress of the checkpoint. Null without one: then the trainer starts from the weights of a peer. */
  static async join(
    { config, log, replica, stop }: TrainerOptions,
    channel: ControlChannel,
    program: ModuleProgram,
    before: Progress | null,
  ): Promise<Peers> {
    // Replica 0 can train alone; the others need the number of replicas first.
    if (before === null && replica > 0) await channel.firstControl(CONTROL_TIMEOUT);
    const averaging = await WeightAveraging.join(
      channel.connection,
      program,
      {
        averaging: config.averaging,
        run: { ...config.run, uid: config.uid },
        module: config.name,
        replica,
        log,
        stop,
      },
      Math.max(replica + 1, channel.replicasOf(config.name)?.replicas ?? 1),
      before === null,
    );
    return new Peers(config, channel, averaging, new Budget(config, replica, channel, before));
  }

  private constructor(
    config: ModuleConfig,
    channel: ControlChannel,
    averaging: WeightAveraging,
    budget: Budget,
  ) {
    this.#config = config;
    this.#channel = channel;
    this.averaging = averaging;
    this.budget = budget;
  }

  /** Applies the current numbers of replicas to the input, the averaging and the output. */
  async follow(input: Input | null, output: Pick<Output, 'share'> | null): Promise<void> {
    const trainers = this.#replicaCount(this.#config.name);
    if (trainers !== undefined && trainers !== this.#trainers) {
      this.#trainers = trainers;
      input?.share(trainers);
      await this.averaging.share(trainers);
    }
    // The consumer of an edge is named after the module that reads it.
    const next = this.#config.sink?.consumer;
    const readers = next === undefined ? undefined : this.#replicaCount(next);
    if (readers !== undefined && readers !== this.#readers) {
      this.#readers = readers;
      output?.share(readers);
    }
  }

  /** Returns at least 1: a module that is scaled to 0 has a trainer that stops or starts. */
  #replicaCount(module: string): number | undefined {
    const replicas = this.#channel.replicasOf(module)?.replicas;
    return replicas === undefined ? undefined : Math.max(1, replicas);
  }
}
