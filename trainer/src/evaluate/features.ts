import type { ModuleConfig } from '@greedy-infomax/crds';
import { encode } from '../model/encoder.ts';
import { cutPatches } from '../module/input.ts';
import { type StepFunction, size, type Weights, type WeightValue } from '../step/function.ts';
import { Program } from '../step/program.ts';
import { type Tensor, tf } from '../tf.ts';
import type { ModelWeights } from './subject.ts';

/** Computes features of every module from images, with the frozen encoder in one graph. */

export interface LabelledImages {
  readonly length: number;
  /** Yields bytes [n, crop, crop, channels] and their labels, in batches of at most `EVALUATION_BATCH`. */
  batches(): AsyncIterable<{ pixels: Uint8Array; labels: Int32Array }>;
}

export interface Features {
  /** Features by module: float32 [length, channels]. */
  byModule: Map<string, Float32Array>;
  labels: Int32Array;
}

export const EVALUATION_BATCH = 100;

/**
 * Returns the input of a linear probe of each module: the mean of its output over all positions of all patches, as in the
 * paper. `weights`: weights of each module by name.
 */
export async function extractFeatures(
  modules: readonly ModuleConfig[],
  weights: ModelWeights,
  images: LabelledImages,
): Promise<Features> {
  const program = compileEncoder(modules, weights);
  const byModule = new Map(
    modules.map(({ name, output }) => [name, new Float32Array(images.length * output[3])]),
  );
  const labels = new Int32Array(images.length);
  let at = 0;
  const pixelsPerImage = program.pixels / EVALUATION_BATCH;
  const batch = new Uint8Array(program.pixels);
  for await (const { pixels, labels: own } of images.batches()) {
    batch.set(pixels); // a short last batch keeps old images after its own; their features are not read
    const count = pixels.length / pixelsPerImage;
    const outputs = program.run('features', { pixels: batch });
    for (const { name, output } of modules) {
      const rows = (outputs[name] as Float32Array).subarray(0, count * output[3]);
      byModule.get(name)?.set(rows, at * output[3]);
    }
    labels.set(own, at);
    at += count;
  }
  program.dispose();
  return { byModule, labels };
}

export type ImageSource = ModuleConfig['source'] & { kind: 'data' };

function compileEncoder(modules: readonly ModuleConfig[], weights: ModelWeights) {
  const [first] = modules;
  if (first?.source.kind !== 'data') throw new TypeError('the first module must read the data set');
  const source = first.source;
  const { crop } = source.augmentation;
  const shape = [EVALUATION_BATCH, crop, crop, first.input[3]];
  const features: StepFunction = {
    inputs: { pixels: { shape, dtype: 'uint8' } },
    build: ({ pixels }, all) => {
      let x = cutPatches(pixels as Tensor, source);
      const outputs: Record<string, Tensor> = {};
      for (const module of modules) {
        x = encode(module.layers, weightsOf(module.name, all), x);
        const channels = module.output[3];
        outputs[module.name] = tf.mean(tf.reshape(x, [EVALUATION_BATCH, -1, channels]), 1);
      }
      return outputs;
    },
  };
  const program = Program.compile({
    weights: prefixed(modules, weights),
    optimizer: first.optimizer,
    functions: { features },
  });
  return Object.assign(program, { pixels: size(shape) });
}

/** Returns the weights of all modules in one program, named MODULE/WEIGHT. */
export const prefixed = (
  modules: readonly ModuleConfig[],
  weights: ModelWeights,
): Record<string, WeightValue> =>
  Object.fromEntries(
    modules.flatMap(({ name }) =>
      Object.entries(weights.get(name) ?? {}).map(([weight, value]) => [
        `${name}/${weight}`,
        value,
      ]),
    ),
  );

/** Returns the weights of one module from those of `prefixed`. */
export const weightsOf = (module: string, all: Weights): Weights =>
  Object.fromEntries(
    Object.entries(all)
      .filter(([name]) => name.startsWith(`${module}/`))
      .map(([name, tensor]) => [name.slice(module.length + 1), tensor]),
  );
