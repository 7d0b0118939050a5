import type { ModuleConfig } from '@greedy-infomax/crds';
import { batchMemory } from '../../trainer/src/buffer/batch-memory.ts';
import { inputSpec } from '../../trainer/src/module/input.ts';
import { compileModule, moduleWeights } from '../../trainer/src/module/program.ts';
import { size } from '../../trainer/src/step/function.ts';

/**
 * Runs the trainer's step as the trainer does: encoded bytes in, loss and encoded activations out.
 */

/** Measurement of one competitor in one round. */
export interface Turn {
  /** Milliseconds of each step. */
  ms: number[];
  /** CPU milliseconds of each step. */
  cpuMs: number;
  /** Duration of the first step. */
  loss: number;
}

/** Repeats steps for `seconds`, at least one; `step` returns its loss. */
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

  /** Trains for `seconds`, at least one step. */
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

/** Uses the memory layout of an edge. */
function randomBatch(config: ModuleConfig): Uint8Array {
  const values = randomBytes(config);
  const batch = new Uint8Array(batchMemory(values.length), 0, values.length);
  batch.set(values);
  return batch;
}

/** Any byte is a valid pixel or int8 level; scales must be finite, and speech needs a loudness. */
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
    throw new RangeError(
      `the edge into ${config.name} is ${encoding}; only int8 is supported here`,
    );
  }
  const channels = input[3];
  const scales = new Float32Array(2 * channels).fill(1 / 255, channels); // Lowest 0, highest 1.
  for (let row = 0; row < config.batchSize; row += 1) {
    bytes.set(new Uint8Array(scales.buffer), row * sampleBytes);
  }
  return bytes;
}
