import { layersCost, type ModuleConfig, outputShape } from '@greedy-infomax/crds';
import { precisionOf } from '../model/precision.ts';
import { evenParts, size } from '../step/function.ts';
import { concatBytes, rowsOfBytes } from '../step/ops.ts';
import { beginTurn, turnBack } from '../step/passes/schedule.ts';
import { backend, type Tensor, tf } from '../tf.ts';
import { operationsSideBySide } from '../threads.ts';

/**
 * A batch in parts. The encoder takes each patch and each sequence by itself, so that it may take some samples after
 * the others: on a processor, threads take parts side by side, and parts that fit its caches.
 */

/** Bytes of a part's largest map: an operation then finds in the caches what the one before has left. */
const CACHED = 2 << 20;
/** Parts that a thread takes one after the other at most, beside others and alone: each adds its operations to the graph. */
const MOST_OF_A_THREAD = 4;
const MOST_OF_ONE_THREAD = 8;

/** Samples of each part, in order; a GPU takes all at once. */
export function partSizes(config: ModuleConfig, threads = operationsSideBySide()): number[] {
  const { batchSize } = config;
  if (backend.binding.isUsingGpuDevice()) return [batchSize];
  const ofBatch = batchSize * bytesOfLargestMap(config);
  // Each part reads all weights, and makes a gradient of them all.
  const ofPart = Math.max(CACHED, bytesOfWeights(config));
  // A power of two, as batches are: with parts of 5 and 6 samples a step takes longer than with 4 or 8.
  const ofThread = 2 ** Math.ceil(Math.log2(Math.max(ofBatch / ofPart / threads, 1)));
  const most = threads === 1 ? MOST_OF_ONE_THREAD : MOST_OF_A_THREAD;
  const parts = threads * Math.min(ofThread, most);
  return evenParts(batchSize, Math.min(parts, batchSize));
}

const bytesOfValue = (config: ModuleConfig): number => (precisionOf(config) === 'bfloat16' ? 2 : 4);

/** Of a sample: what comes in, or out of a layer. */
function bytesOfLargestMap(config: ModuleConfig): number {
  const { layers } = config;
  const [patches, ...patch] = config.input;
  const values = Array.from({ length: layers.length + 1 }, (_, i) =>
    size(outputShape(layers.slice(0, i), patch)),
  );
  return patches * Math.max(...values) * bytesOfValue(config);
}

function bytesOfWeights(config: ModuleConfig): number {
  const [, ...patch] = config.input;
  return layersCost(config.layers, patch).parameters * bytesOfValue(config);
}

/** What `work` makes of the parts of a batch of bytes: [samples, ..] -> [samples of the part, ..] of each, by turns. */
export function ofParts<T>(
  batch: Tensor,
  sizes: readonly number[],
  work: (part: Tensor) => T,
): T[] {
  if (sizes.length === 1) return [work(batch)];
  return placesOf(sizes).map(({ begin, samples }) => {
    beginTurn(operationsSideBySide());
    return work(rowsOfBytes(batch, begin, samples));
  });
}

/** Where the parts are in their batch. */
function placesOf(sizes: readonly number[]): { begin: number; samples: number }[] {
  let end = 0;
  return sizes.map((samples) => {
    end += samples;
    return { begin: end - samples, samples };
  });
}

/** The same, of a part, with whose gradient the part has another turn. */
export const turnBackPart = (x: Tensor, sizes: readonly number[]): Tensor =>
  sizes.length === 1 ? x : turnBack(x, operationsSideBySide());

/** What was made of the parts, behind one another: [samples of the part, ..] of each -> [samples, ..]. */
export function joinParts(parts: readonly Tensor[]): Tensor {
  if (parts.length === 1) return parts[0] as Tensor;
  const places = placesOf(parts.map(({ shape }) => shape[0] as number));
  // tf.concat would split its gradient, and TensorFlow move what waits for its turn to before it is split.
  return tf.customGrad((...values) => ({
    value: tf.concat(values.slice(0, parts.length) as Tensor[], 0),
    gradFunc: (dy: Tensor) => {
      const [, ...rest] = dy.shape;
      const start = rest.map(() => 0);
      return places.map(({ begin, samples }) =>
        tf.slice(dy, [begin, ...start], [samples, ...rest]),
      );
    },
  }))(...parts);
}

/** The same of bytes [samples of the part, columns]. */
export const joinBytes = (parts: readonly Tensor[]): Tensor =>
  parts.length === 1 ? (parts[0] as Tensor) : concatBytes(parts, 0);
