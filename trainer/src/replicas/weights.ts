import type { ModuleProgram } from '../module/program.ts';

/** Prefix of the names of Adam's moments, which are not averaged. */
const MOMENT = 'adam.';

/** A module's weights as one array. */
export class FlatWeights {
  readonly length: number;
  readonly #program: ModuleProgram;
  /** Range of each tensor in the array. */
  readonly #tensors: { name: string; from: number; to: number }[] = [];

  constructor(program: ModuleProgram) {
    this.#program = program;
    let from = 0;
    for (const [name, { values }] of Object.entries(program.read())) {
      if (name.startsWith(MOMENT)) continue;
      this.#tensors.push({ name, from, to: from + values.length });
      from += values.length;
    }
    this.length = from;
  }

  read(): Float32Array<ArrayBuffer> {
    const tensors = this.#program.read();
    const flat = new Float32Array(this.length);
    for (const { name, from } of this.#tensors) flat.set(tensors[name]?.values ?? [], from);
    return flat;
  }

  assign(flat: Float32Array): void {
    this.#program.assign(
      Object.fromEntries(this.#tensors.map(({ name, from, to }) => [name, flat.slice(from, to)])),
    );
  }
}
