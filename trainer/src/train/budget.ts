import type { ModuleConfig } from '@greedy-infomax/crds';
import type { ControlChannel } from './control-channel.ts';
import type { Progress } from './resume.ts';

/** Training budget of a module, in samples, and the part that this trainer and its peers have spent. */
export class Budget {
  /** Samples that this trainer has trained on, over all its processes. */
  own = 0;
  readonly #config: ModuleConfig;
  readonly #replica: string;
  readonly #channel: ControlChannel;
  /** Samples of the peers as of the checkpoint, used until the operator publishes newer numbers. */
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
    // Without a checkpoint: an earlier process of this replica may have reported samples.
    const published = channel.replicasOf(config.name)?.samples[this.#replica] ?? 0;
    this.own = before?.samples ?? published;
  }

  /** Samples of the peers by replica, as far as known, including replicas that no longer exist. */
  get others(): Record<string, number> {
    const { [this.#replica]: _, ...others } = {
      ...this.#before,
      ...this.#channel.replicasOf(this.#config.name)?.samples,
    };
    return others;
  }

  /** Samples that all replicas of the module have trained on, as far as known. */
  get total(): number {
    return Object.values(this.others).reduce((sum, samples) => sum + samples, this.own);
  }

  /** Reports whether the module has trained on its whole budget. */
  get spent(): boolean {
    return this.total >= this.#config.budget;
  }
}
