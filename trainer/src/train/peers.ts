import type { ModuleConfig } from '@greedy-infomax/crds';
import type { ModuleProgram } from '../module/program.ts';
import { WeightAveraging } from '../replicas/weight-averaging.ts';
import { Budget } from './budget.ts';
import type { ControlChannel } from './control-channel.ts';
import type { Input } from './input.ts';
import type { Output } from './output.ts';
import type { Progress } from './resume.ts';
import type { TrainerOptions } from './trainer.ts';

/** Milliseconds that a new trainer waits to hear of others before it takes itself for the only one. */
const CONTROL_TIMEOUT = 3000;

/** The other trainers of the module and of the next one: what is shared with them, and how many they are. */
export class Peers {
  readonly budget: Budget;
  readonly averaging: WeightAveraging;
  readonly #config: ModuleConfig;
  readonly #channel: ControlChannel;
  /** What was shared last; undefined before the operator has said anything. */
  #trainers: number | undefined;
  #readers: number | undefined;

  /** `before`: what the checkpoint says; null without one, when the trainer begins with the weights of others. */
  static async join(
    { config, log, replica, stop }: TrainerOptions,
    channel: ControlChannel,
    program: ModuleProgram,
    before: Progress | null,
  ): Promise<Peers> {
    // The first of them can train alone; the others cannot tell from nothing how many they are.
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

  /** Tells all that is shared with other trainers how many these are now. */
  async follow(input: Input | null, output: Pick<Output, 'share'> | null): Promise<void> {
    const trainers = this.#replicaCount(this.#config.name);
    if (trainers !== undefined && trainers !== this.#trainers) {
      this.#trainers = trainers;
      input?.share(trainers);
      await this.averaging.share(trainers);
    }
    // The consumer of an edge has the name of the module that reads it.
    const next = this.#config.sink?.consumer;
    const readers = next === undefined ? undefined : this.#replicaCount(next);
    if (readers !== undefined && readers !== this.#readers) {
      this.#readers = readers;
      output?.share(readers);
    }
  }

  /** A module that was scaled to nothing has a trainer that leaves, or one that comes. */
  #replicaCount(module: string): number | undefined {
    const replicas = this.#channel.replicasOf(module)?.replicas;
    return replicas === undefined ? undefined : Math.max(1, replicas);
  }
}
