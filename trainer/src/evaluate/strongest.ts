/** A position at which a unit's output is high. */
export interface Place {
  image: number;
  /** Index of the patch in its image, row by row. */
  patch: number;
  value: number;
}

export interface Found {
  unit: number;
  /** Strongest first. */
  places: Place[];
}

/** Keeps the images that activate each unit of a module most, from a stream of images. */
export class Strongest {
  readonly #channels: number;
  readonly #keep: number;
  readonly #places: Place[][];
  readonly #sum: Float64Array;
  readonly #squares: Float64Array;
  #count = 0;

  constructor(channels: number, keep: number) {
    this.#channels = channels;
    this.#keep = keep;
    this.#places = Array.from({ length: channels }, () => []);
    this.#sum = new Float64Array(channels);
    this.#squares = new Float64Array(channels);
  }

  /** Adds the `values` [patches, channels] of an image; keeps only the strongest patch of each unit. */
  add(image: number, values: Float32Array): void {
    const channels = this.#channels;
    const patches = values.length / channels;
    for (let unit = 0; unit < channels; unit += 1) {
      let best = 0;
      for (let patch = 0; patch < patches; patch += 1) {
        const value = values[patch * channels + unit] as number;
        this.#sum[unit] = (this.#sum[unit] as number) + value;
        this.#squares[unit] = (this.#squares[unit] as number) + value * value;
        if (value > (values[best * channels + unit] as number)) best = patch;
      }
      this.#keepPlace(unit, {
        image,
        patch: best,
        value: values[best * channels + unit] as number,
      });
    }
    this.#count += patches;
  }

  #keepPlace(unit: number, place: Place): void {
    const places = this.#places[unit] as Place[];
    if (places.length === this.#keep && place.value <= (places.at(-1) as Place).value) return;
    const at = places.findIndex(({ value }) => value < place.value);
    places.splice(at < 0 ? places.length : at, 0, place);
    if (places.length > this.#keep) places.pop();
  }

  /**
   * Returns the `count` units, by index, whose strongest patches exceed the mean of all patches most, in standard deviations
   * of the unit's output. A constant unit has score 0.
   */
  mostSelective(count: number): Found[] {
    return Array.from({ length: this.#channels }, (_, unit) => unit)
      .map((unit) => ({ unit, places: this.#places[unit] as Place[], score: this.#score(unit) }))
      .toSorted((a, b) => b.score - a.score)
      .slice(0, count)
      .toSorted((a, b) => a.unit - b.unit)
      .map(({ unit, places }) => ({ unit, places }));
  }

  #score(unit: number): number {
    const mean = (this.#sum[unit] as number) / this.#count;
    const variance = (this.#squares[unit] as number) / this.#count - mean * mean;
    const places = this.#places[unit] as Place[];
    const top = places.reduce((sum, { value }) => sum + value, 0) / places.length;
    return variance > 1e-12 ? (top - mean) / Math.sqrt(variance) : 0;
  }
}
