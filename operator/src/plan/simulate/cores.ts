/**
 * Time, and cores that activities share. When all of them want more cores than there are, each goes on slower
 * by the same factor, as processes of equal priority do.
 */

interface Activity {
  /** Milliseconds left if it had all that it wants. */
  left: number;
  cores: number;
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

  /** Calls `then` after an activity that takes `ms` on `cores` of its own; with 0 cores it is a wait. */
  start(ms: number, cores: number, then: () => void): void {
    this.#activities.push({ left: Math.max(0, ms), cores: Math.min(cores, this.#cores), then });
  }

  /** Goes on to the end of the next activity; false when there is none. */
  step(): boolean {
    if (this.#activities.length === 0) return false;
    const wanted = this.#activities.reduce((sum, { cores }) => sum + cores, 0);
    const speed = Math.min(1, this.#cores / wanted);
    const speedOf = ({ cores }: Activity) => (cores > 0 ? speed : 1);
    const ms = Math.min(...this.#activities.map((each) => each.left / speedOf(each)));
    for (const each of this.#activities) each.left -= ms * speedOf(each);
    this.now += ms;
    this.used += ms * wanted * speed;
    const over = this.#activities.filter(({ left }) => left < 1e-9);
    this.#activities = this.#activities.filter(({ left }) => left >= 1e-9);
    for (const { then } of over) then();
    return true;
  }
}
