/**
 * Buffer of the samples that a consumer holds. Two policies: `dropOldest` takes the freshest of the least used and may
 * reuse a sample; `block` takes each sample exactly once, in order of arrival. The trainer holds decoded samples, the
 * simulator samples without contents.
 */

export interface ReplayOptions {
  whenFull: 'dropOldest' | 'block';
  /** Maximum number of samples held. With `block`, the caller stops requesting at this number, and later arrivals are kept. */
  capacity: number;
  /** Maximum number of uses of a sample after the first. */
  maxReuse: number;
}

interface Held<S> {
  sample: S;
  uses: number;
  /** Order of arrival. */
  arrived: number;
}

export class Replay<S extends object> {
  /** Number of samples evicted before their first use. */
  dropped = 0;
  /** Number of uses after the first of a sample. */
  reused = 0;
  readonly #options: ReplayOptions;
  #held: Held<S>[] = [];
  #arrived = 0;
  #fresh = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#held.length;
  }

  /** Number of samples not used yet. */
  get fresh(): number {
    return this.#fresh;
  }

  /** Adds a sample; returns the one that was evicted for it, or null. */
  put(sample: S): S | null {
    this.#held.push({ sample, uses: 0, arrived: this.#arrived });
    this.#arrived += 1;
    this.#fresh += 1;
    const { whenFull, capacity } = this.#options;
    return whenFull === 'dropOldest' && this.#held.length > capacity ? this.#evict() : null;
  }

  /** Reports whether the sample can be taken again. */
  holds(sample: S): boolean {
    return this.#held.some((held) => held.sample === sample);
  }

  /** Returns `count` different samples, or null while fewer are held; with `unused`, only samples never taken before. */
  take(count: number, unused = false): S[] | null {
    if ((unused ? this.#fresh : this.#held.length) < count) return null;
    const order =
      this.#options.whenFull === 'block'
        ? this.#held
        : this.#held.toSorted((a, b) => a.uses - b.uses || b.arrived - a.arrived);
    const taken = order.slice(0, count);
    for (const held of taken) {
      if (held.uses > 0) this.reused += 1;
      else this.#fresh -= 1;
      held.uses += 1;
    }
    this.#held = this.#held.filter(({ uses }) => uses <= this.#options.maxReuse);
    return taken.map(({ sample }) => sample);
  }

  /** Removes the most used sample, the oldest among equals. */
  #evict(): S {
    const victim = this.#held.reduce((worst, held) => (held.uses > worst.uses ? held : worst));
    if (victim.uses === 0) {
      this.dropped += 1;
      this.#fresh -= 1;
    }
    this.#held = this.#held.filter((held) => held !== victim);
    return victim.sample;
  }
}
