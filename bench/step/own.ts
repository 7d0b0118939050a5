import type { ModuleConfig } from '@greedy-infomax/crds';
import { batchMemory } from '../../trainer/src/buffer/batch-memory.ts';
import { inputSpec } from '../../trainer/src/module/input.ts';
import { compileModule, moduleWeights } from '../../trainer/src/module/program.ts';
import { size } from '../../trainer/src/step/function.ts';

/** The trainer's step as the trainer runs it: encoded bytes in, loss and encoded activations out. */

/** What a competitor measured in one turn. */
export interface Turn {
  /** Milliseconds of each step. */
  ms: number[];
  /** Milliseconds of all processors that a step took. */
  cpuMs: number;
  /** Of the first step. */
  loss: number;
}

/** Takes steps for so long, at least one; `step` gives its loss. */
export function turnOf(seconds: number, step: () => number): Turn {
  const ms: number[] = [];
  const losses: number[] = [];
  const cpu = process.cpuUsage();
  const end = performance.now() + 1000 * seconds;
  while (ms.length === 0 || performance.now() < end) {
    const begin = performance.now();
    losses.push(step());
    ms.push(performance.now() - begin);
  }
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000 / ms.length, loss: losses[0] as number };
}

export class OwnStep {
  readonly parameters: number;
  readonly #config: ModuleConfig;
  readonly #program: ReturnType<typeof compileModule>;
  readonly #batch: Uint8Array;

  constructor(config: ModuleConfig) {
    this.#config = config;
    this.#program = compileModule(config);
    this.#batch = randomBatch(config);
    this.parameters = Object.values(moduleWeights(config)).reduce(
      (sum, { shape }) => sum + size(shape),
      0,
    );
  }

  /** Trains for so long, at least one step. */
  run(seconds: number): Turn {
    return turnOf(seconds, () => {
      const { loss } = this.#program.run('train', {
        batch: this.#batch,
        labels: new Int32Array(this.#config.batchSize),
        seed: Int32Array.of(this.#config.seed, this.#program.step * 64),
      });
      return loss?.[0] as number;
    });
  }

  dispose(): void {
    this.#program.dispose();
  }
}

/** In memory as an edge has it. */
function randomBatch(config: ModuleConfig): Uint8Array {
  const values = randomBytes(config);
  const batch = new Uint8Array(batchMemory(values.length), 0, values.length);
  batch.set(values);
  return batch;
}

/** Bytes of any value are pixels and levels of int8; its scales have to be numbers, and speech has a loudness. */
function randomBytes(config: ModuleConfig): Uint8Array {
  if (config.source.kind === 'speech') {
    const pcm = new Int16Array(size(inputSpec(config).shape) / 2);
    return new Uint8Array(pcm.map(() => (Math.random() - 0.5) * 4000).buffer);
  }
  const bytes = new Uint8Array(size(inputSpec(config).shape)).map(() => Math.random() * 256);
  const { source, input } = config;
  if (source.kind !== 'edge') return bytes;
  const { sampleBytes, encoding } = source.edge;
  if (encoding !== 'int8') {
    throw new RangeError(`the edge into ${config.name} is ${encoding}; only int8 is measured here`);
  }
  const channels = input[3];
  const scales = new Float32Array(2 * channels).fill(1 / 255, channels); // lowest 0, highest 1
  for (let row = 0; row < config.batchSize; row += 1) {
    bytes.set(new Uint8Array(scales.buffer), row * sampleBytes);
  }
  return bytes;
}
