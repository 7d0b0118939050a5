import { layersCost, type ModuleConfig, outputShape } from '@greedy-infomax/crds';
import { evenParts, size } from '../step/function.ts';
import { concatBytes, rowsOfBytes } from '../step/ops.ts';
import { precisionOf } from '../step/passes/bfloat16.ts';
import { beginGroup, beginGroupOnGradient } from '../step/passes/schedule.ts';
import { backend, type Tensor, tf } from '../tf.ts';
import { operationsSideBySide } from '../threads.ts';

/**
 * Micro-batches. The encoder computes each patch and each sequence by itself, so a batch can be encoded in pieces: on a
 * processor, threads encode micro-batches side by side, each small enough for the caches.
 */

/** Maximum bytes of a micro-batch's largest map, so that an op finds the result of the op before in the caches. */
const CACHED = 2 << 20;
/** Maximum number of micro-batches per thread, with several threads and with one: each adds its ops to the graph. */
const MOST_OF_A_THREAD = 4;
const MOST_OF_ONE_THREAD = 8;

/** Returns the number of samples of each micro-batch, in order; a GPU takes the whole batch at once. */
export function microBatchSizes(config: ModuleConfig, threads = operationsSideBySide()): number[] {
  const { batchSize } = config;
  if (backend.binding.isUsingGpuDevice()) return [batchSize];
  const ofBatch = batchSize * bytesOfLargestMap(config);
  // Each micro-batch reads all weights and computes a gradient of all of them.
  const ofPart = Math.max(CACHED, bytesOfWeights(config));
  // A power of two, as batches are: with micro-batches of 5 and 6 samples a step takes longer than with 4 or 8.
  const ofThread = 2 ** Math.ceil(Math.log2(Math.max(ofBatch / ofPart / threads, 1)));
  const most = threads === 1 ? MOST_OF_ONE_THREAD : MOST_OF_A_THREAD;
  const parts = threads * Math.min(ofThread, most);
  return evenParts(batchSize, Math.min(parts, batchSize));
}

const bytesOfValue = (config: ModuleConfig): number => (precisionOf(config) === 'bfloat16' ? 2 : 4);

/** Bytes of a sample's largest map: the input, or the output of a layer. */
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

/** Applies `work` to each micro-batch of a batch of bytes [samples, ..], scheduled in order on each thread. */
export function forEachMicroBatch<T>(
  batch: Tensor,
  sizes: readonly number[],
  work: (part: Tensor) => T,
): T[] {
  if (sizes.length === 1) return [work(batch)];
  return offsetsOf(sizes).map(({ begin, samples }) => {
    beginGroup(operationsSideBySide());
    return work(rowsOfBytes(batch, begin, samples));
  });
}

/** Returns the first sample and the number of samples of each micro-batch. */
function offsetsOf(sizes: readonly number[]): { begin: number; samples: number }[] {
  let end = 0;
  return sizes.map((samples) => {
    end += samples;
    return { begin: end - samples, samples };
  });
}

/** Returns x; the backward pass of the micro-batch is scheduled from its gradient on. */
export const scheduleGradient = (x: Tensor, sizes: readonly number[]): Tensor =>
  sizes.length === 1 ? x : beginGroupOnGradient(x, operationsSideBySide());

/** Concatenates the results of micro-batches: [samples of each, ..] -> [samples, ..]. */
export function joinMaps(parts: readonly Tensor[]): Tensor {
  if (parts.length === 1) return parts[0] as Tensor;
  const offsets = offsetsOf(parts.map(({ shape }) => shape[0] as number));
  // The gradient of tf.concat is a split, and TensorFlow would move scheduled ops to before the split.
  return tf.customGrad((...values) => ({
    value: tf.concat(values.slice(0, parts.length) as Tensor[], 0),
    gradFunc: (dy: Tensor) => {
      const [, ...rest] = dy.shape;
      const start = rest.map(() => 0);
      return offsets.map(({ begin, samples }) =>
        tf.slice(dy, [begin, ...start], [samples, ...rest]),
      );
    },
  }))(...parts);
}

/** Concatenates bytes [samples of each, columns]. */
export const joinBytes = (parts: readonly Tensor[]): Tensor =>
  parts.length === 1 ? (parts[0] as Tensor) : concatBytes(parts, 0);
