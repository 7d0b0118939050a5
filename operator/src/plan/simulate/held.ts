/**
 * The samples that a consumer holds: `dropOldest` takes the freshest of the least used, `block` the oldest. The same
 * rules as those of a trainer, for samples without contents.
 */

export interface Sample {
  /** Number of its producer, and the step in which that one made it. */
  producer: number;
  step: number;
  /** Milliseconds since the start. */
  madeAt: number;
}

interface Kept {
  sample: Sample;
  uses: number;
  /** Order of arrival. */
  arrived: number;
}

export class Held {
  dropped = 0;
  reused = 0;
  #fresh = 0;
  #arrived = 0;
  readonly #whenFull: 'dropOldest' | 'block';
  readonly #capacity: number;
  readonly #maxReuse: number;
  #kept: Kept[] = [];

  constructor(whenFull: 'dropOldest' | 'block', capacity: number, maxReuse: number) {
    this.#whenFull = whenFull;
    this.#capacity = capacity;
    this.#maxReuse = maxReuse;
  }

  get size(): number {
    return this.#kept.length;
  }

  /** Not used yet. */
  get fresh(): number {
    return this.#fresh;
  }

  put(sample: Sample): void {
    this.#kept.push({ sample, uses: 0, arrived: this.#arrived });
    this.#arrived += 1;
    this.#fresh += 1;
    if (this.#whenFull === 'dropOldest' && this.#kept.length > this.#capacity) this.#evict();
  }

  /** `count` samples, or null while there are not so many; `unused`: only such as were never taken. */
  take(count: number, unused: boolean): Sample[] | null {
    if ((unused ? this.#fresh : this.#kept.length) < count) return null;
    const order =
      this.#whenFull === 'block'
        ? this.#kept
        : this.#kept.toSorted((a, b) => a.uses - b.uses || b.arrived - a.arrived);
    const taken = order.slice(0, count);
    for (const each of taken) {
      if (each.uses > 0) this.reused += 1;
      else this.#fresh -= 1;
      each.uses += 1;
    }
    this.#kept = this.#kept.filter(({ uses }) => uses <= this.#maxReuse);
    return taken.map(({ sample }) => sample);
  }

  #evict(): void {
    const victim = this.#kept.reduce((worst, each) => (each.uses > worst.uses ? each : worst));
    if (victim.uses === 0) {
      this.dropped += 1;
      this.#fresh -= 1;
    }
    this.#kept = this.#kept.filter((each) => each !== victim);
  }
}
