import { averagingSchema, type ModuleConfig } from '@greedy-infomax/crds';
import {
  compileModule,
  type ModuleProgram,
  moduleWeights,
} from '../../trainer/src/module/program.ts';
import { stepSeed } from '../../trainer/src/module/step.ts';
import { meanOf, openRule, type Rule } from '../../trainer/src/replicas/rules.ts';

/** Rules by which the trainers of a module average. */
export interface Sharing {
  replicas: number;
  /** Interval, as in the run file. */
  averaging?: object;
  /** True if the moments of Adam are averaged like the weights. */
  moments?: boolean;
  /** True if a trainer reads its peers' weights only when it publishes, half a period later. */
  late?: boolean;
}

type Tensors = Record<string, Float32Array>;

/** A trainer of a module that steps on request. */
export class Replica {
  readonly config: ModuleConfig;
  readonly #replica: number;
  readonly #program: ModuleProgram;
  readonly #names: string[];
  readonly #moments: string[];
  readonly #every: number;
  readonly #offset: number;
  readonly #rule: Rule;
  /** State published last. */
  #published: { step: number; tensors: Tensors } | null = null;
  readonly #late: boolean;
  /** Step of the peer's state that was read last. */
  readonly #seen = new Map<Replica, number>();

  constructor(config: ModuleConfig, replica: number, sharing: Sharing) {
    this.config = config;
    this.#replica = replica;
    this.#program = compileModule(config);
    const names = Object.keys(this.#program.read());
    this.#names = names.filter((name) => !name.startsWith('adam.'));
    this.#late = sharing.late ?? false;
    this.#moments = sharing.moments ? names.filter((name) => name.startsWith('adam.')) : [];
    const averaging = averagingSchema.parse(sharing.averaging ?? {});
    this.#every = averaging.everySteps;
    this.#offset = Math.floor((replica * this.#every) / sharing.replicas);
    this.#rule = openRule(averaging, concatenate(this.#read(), this.#names));
  }

  get weights() {
    const tensors = this.#program.read();
    return Object.fromEntries(
      Object.keys(moduleWeights(this.config)).map((name) => [name, tensors[name] as never]),
    );
  }

  step(batch: Uint8Array, labels: Int32Array) {
    const { loss, activations } = this.#program.run('train', {
      batch,
      labels,
      seed: stepSeed(this.config, this.#replica, this.#program.step),
    });
    return { loss: loss?.[0] as number, activations: activations as Uint8Array };
  }

  /** After a step: publishes when it is due, and averages with the peers' states. */
  average(others: readonly Replica[]): void {
    if (others.length === 0) return;
    const isTime = (this.#program.step + this.#offset) % this.#every === 0;
    if (isTime) this.#published = { step: this.#program.step, tensors: this.#read() };
    if (this.#late && !isTime) return;
    const news = others.flatMap((other) => {
      const published = other.#published;
      if (published === null || this.#seen.get(other) === published.step) return [];
      this.#seen.set(other, published.step);
      return [published.tensors];
    });
    if (news.length === 0) return;
    const own = this.#read();
    const all = [own, ...news];
    const mean = (names: readonly string[]) => meanOf(all.map((each) => concatenate(each, names)));
    const next = this.#rule.next(concatenate(own, this.#names), mean(this.#names));
    this.#assign(next, this.#names);
    if (this.#moments.length > 0) this.#assign(mean(this.#moments), this.#moments);
  }

  dispose(): void {
    this.#program.dispose();
  }

  #read(): Tensors {
    const tensors = Object.entries(this.#program.read());
    return Object.fromEntries(tensors.map(([name, { values }]) => [name, values]));
  }

  #assign(flat: Float32Array, names: readonly string[]): void {
    const like = this.#read();
    let from = 0;
    const parts = names.map((name) => {
      const { length } = like[name] as Float32Array;
      from += length;
      return [name, flat.slice(from - length, from)] as const;
    });
    this.#program.assign(Object.fromEntries(parts));
  }
}

/** Concatenates tensors. */
function concatenate(tensors: Tensors, names: readonly string[]): Float32Array {
  const parts = names.map((name) => tensors[name] as Float32Array);
  const flat = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    flat.set(part, at);
    at += part.length;
  }
  return flat;
}
