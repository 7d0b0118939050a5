/**
 * Time, and cores that activities share. When all of them want more cores than there are, each goes on slower
 * by the same factor, as processes of equal priority do; those that keep to a core share that one.
 */

interface Activity {
  /** Milliseconds left if it had all that it wants. */
  left: number;
  cores: number;
  /** The core that it keeps to, if it keeps to one. */
  core: number | undefined;
  then: () => void;
}

export class Cores {
  /** Milliseconds since the start. */
  now = 0;
  /** Core milliseconds used. */
  used = 0;
  readonly #cores: number;
  #activities: Activity[] = [];

  constructor(cores: number | null) {
    this.#cores = cores ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Calls `then` after an activity that takes `ms` on `cores` of its own; with 0 cores it is a wait. `core`: the only one
   * that it may have.
   */
  start(ms: number, cores: number, then: () => void, core?: number): void {
    const wanted = Math.min(cores, core === undefined ? this.#cores : 1);
    this.#activities.push({ left: Math.max(0, ms), cores: wanted, core, then });
  }

  /** Goes on to the end of the next activity; false when there is none. */
  step(): boolean {
    if (this.#activities.length === 0) return false;
    const speeds = this.#speeds();
    const ms = Math.min(...this.#activities.map(({ left }, i) => left / (speeds[i] as number)));
    for (const [i, each] of this.#activities.entries()) {
      each.left -= ms * (speeds[i] as number);
      this.used += ms * each.cores * (speeds[i] as number);
    }
    this.now += ms;
    const over = this.#activities.filter(({ left }) => left < 1e-9);
    this.#activities = this.#activities.filter(({ left }) => left >= 1e-9);
    for (const { then } of over) then();
    return true;
  }

  /** Returns the speed of each activity: limited by the others on its core, and by the fair share of all cores. */
  #speeds(): number[] {
    const wantedOf = new Map<number, number>();
    for (const { core, cores } of this.#activities) {
      if (core !== undefined) wantedOf.set(core, (wantedOf.get(core) ?? 0) + cores);
    }
    const highest = this.#activities.map(({ core, cores }) =>
      cores === 0 || core === undefined ? 1 : Math.min(1, 1 / (wantedOf.get(core) as number)),
    );
    // Activities limited by their core leave the rest to the others.
    let [left, wanted] = [this.#cores, this.#activities.reduce((sum, { cores }) => sum + cores, 0)];
    const bySpeed = [...highest.keys()].toSorted(
      (a, b) => (highest[a] as number) - (highest[b] as number),
    );
    const speeds = [...highest];
    for (const i of bySpeed) {
      const { cores } = this.#activities[i] as Activity;
      if (cores === 0) continue;
      const speed = Math.min(highest[i] as number, left / wanted);
      speeds[i] = speed;
      left -= speed * cores;
      wanted -= cores;
    }
    return speeds;
  }
}
