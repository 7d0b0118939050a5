import type { ModuleConfig } from '@greedy-infomax/crds';
import type { ModuleProgram } from '../module/program.ts';
import { Team } from '../replicas/weight-averaging.ts';
import { Budget } from './budget.ts';
import type { Messenger } from './control-channel.ts';
import type { Feed } from './input.ts';
import type { Output } from './output.ts';
import type { Progress } from './resume.ts';
import type { TrainerOptions } from './trainer.ts';

/** Milliseconds that a new trainer waits to hear of others before it takes itself for the only one. */
const HEAR_WITHIN = 3000;

/** The other trainers of the module and of the next one: what is shared with them, and how many they are. */
export class Company {
  readonly budget: Budget;
  readonly team: Team;
  readonly #config: ModuleConfig;
  readonly #messenger: Messenger;
  /** What was shared last; undefined before the operator has said anything. */
  #trainers: number | undefined;
  #readers: number | undefined;

  /** `before`: what the checkpoint says; null without one, when the trainer begins with the weights of others. */
  static async meet(
    { config, log, replica, stop }: TrainerOptions,
    messenger: Messenger,
    program: ModuleProgram,
    before: Progress | null,
  ): Promise<Company> {
    // The first of them can train alone; the others cannot tell from nothing how many they are.
    if (before === null && replica > 0) await messenger.hear(HEAR_WITHIN);
    const team = await Team.join(
      messenger.connection,
      program,
      {
        averaging: config.averaging,
        run: { ...config.run, uid: config.uid },
        module: config.name,
        replica,
        log,
        stop,
      },
      Math.max(replica + 1, messenger.team(config.name)?.replicas ?? 1),
      before === null,
    );
    return new Company(config, messenger, team, new Budget(config, replica, messenger, before));
  }

  private constructor(config: ModuleConfig, messenger: Messenger, team: Team, budget: Budget) {
    this.#config = config;
    this.#messenger = messenger;
    this.team = team;
    this.budget = budget;
  }

  /** Tells all that is shared with other trainers how many these are now. */
  async follow(feed: Feed | null, output: Pick<Output, 'share'> | null): Promise<void> {
    const trainers = this.#teamSize(this.#config.name);
    if (trainers !== undefined && trainers !== this.#trainers) {
      this.#trainers = trainers;
      feed?.share(trainers);
      await this.team.share(trainers);
    }
    // The consumer of an edge has the name of the module that reads it.
    const next = this.#config.sink?.consumer;
    const readers = next === undefined ? undefined : this.#teamSize(next);
    if (readers !== undefined && readers !== this.#readers) {
      this.#readers = readers;
      output?.share(readers);
    }
  }

  /** A module that was scaled to nothing has a trainer that leaves, or one that comes. */
  #teamSize(module: string): number | undefined {
    const replicas = this.#messenger.team(module)?.replicas;
    return replicas === undefined ? undefined : Math.max(1, replicas);
  }
}
