import type { Sample } from './frame.ts';

/**
 * The samples that a consumer holds. Two policies: `dropOldest` prefers the freshest among the least used
 * and may use a sample again; `block` gives each exactly once, in the order of arrival.
 */

export interface ReplayOptions {
  whenFull: 'dropOldest' | 'block';
  /** Samples held at most (`block`: when no more are asked for; what comes all the same is kept). */
  capacity: number;
  /** Uses of a sample after its first. */
  maxReuse: number;
}

interface Held<S> {
  sample: S;
  uses: number;
  /** Order of arrival. */
  arrived: number;
}

export class Replay<S extends object = Sample> {
  /** Samples that left without having been used. */
  dropped = 0;
  /** Uses after the first. */
  reused = 0;
  readonly #options: ReplayOptions;
  #held: Held<S>[] = [];
  #arrived = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#held.length;
  }

  /** Samples not used yet. */
  get fresh(): number {
    return this.#held.filter(({ uses }) => uses === 0).length;
  }

  /** Returns the sample that had to leave for it, if one had. */
  put(sample: S): S | null {
    this.#held.push({ sample, uses: 0, arrived: this.#arrived });
    this.#arrived += 1;
    const { whenFull, capacity } = this.#options;
    return whenFull === 'dropOldest' && this.#held.length > capacity ? this.#evict() : null;
  }

  /** Whether the sample may be given again. */
  holds(sample: S): boolean {
    return this.#held.some((held) => held.sample === sample);
  }

  /** `count` different samples, or null while there are not so many; `unused`: of those never given before. */
  take(count: number, unused = false): S[] | null {
    if ((unused ? this.fresh : this.#held.length) < count) return null;
    const order =
      this.#options.whenFull === 'block'
        ? this.#held
        : this.#held.toSorted((a, b) => a.uses - b.uses || b.arrived - a.arrived);
    const taken = order.slice(0, count);
    for (const held of taken) {
      if (held.uses > 0) this.reused += 1;
      held.uses += 1;
    }
    this.#held = this.#held.filter(({ uses }) => uses <= this.#options.maxReuse);
    return taken.map(({ sample }) => sample);
  }

  /** Takes out the most used, the oldest among these. */
  #evict(): S {
    const victim = this.#held.reduce((worst, held) => (held.uses > worst.uses ? held : worst));
    if (victim.uses === 0) this.dropped += 1;
    this.#held = this.#held.filter((held) => held !== victim);
    return victim.sample;
  }
}
