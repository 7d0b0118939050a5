import type { ModuleConfig } from '@greedy-infomax/crds';
import type { ControlChannel } from './control-channel.ts';
import type { Progress } from './resume.ts';

/** What a module may train on, and how much of that its trainers, this one and the others, have spent. */
export class Budget {
  /** Samples that this trainer has trained on, in all attempts. */
  own = 0;
  readonly #config: ModuleConfig;
  readonly #replica: string;
  readonly #channel: ControlChannel;
  /** What the checkpoint says of the others, until the operator says more. */
  readonly #before: Record<string, number>;

  constructor(
    config: ModuleConfig,
    replica: number,
    channel: ControlChannel,
    before: Pick<Progress, 'samples' | 'others'> | null,
  ) {
    this.#config = config;
    this.#replica = String(replica);
    this.#channel = channel;
    this.#before = before?.others ?? {};
    // Without a checkpoint: an earlier trainer of this number may have got somewhere all the same.
    const heard = channel.replicasOf(config.name)?.samples[this.#replica] ?? 0;
    this.own = before?.samples ?? heard;
  }

  /** Samples of the others by replica, as far as known; also of those that have left. */
  get others(): Record<string, number> {
    const { [this.#replica]: _, ...others } = {
      ...this.#before,
      ...this.#channel.replicasOf(this.#config.name)?.samples,
    };
    return others;
  }

  /** Samples that all trainers of the module have trained on, as far as known. */
  get total(): number {
    return Object.values(this.others).reduce((sum, samples) => sum + samples, this.own);
  }

  get spent(): boolean {
    return this.total >= this.#config.budget;
  }
}
