import type { ModuleConfig, Window } from '@greedy-infomax/crds';
import { CODECS } from '../step/codecs.ts';
import type { TensorSpec } from '../step/function.ts';
import { cast, extractPatches, fromInt16, nonNegative } from '../step/ops.ts';
import { DT, type Tensor, tf } from '../tf.ts';

type Source = ModuleConfig['source'];

/** Returns the shape of a module's input batch: images, speech, or rows of encoded activations. All are bytes. */
export function inputSpec({ source, batchSize, input }: ModuleConfig): TensorSpec {
  if (source.kind === 'edge') {
    return { shape: [batchSize, source.edge.sampleBytes], dtype: 'uint8' };
  }
  if (source.kind === 'speech') {
    return { shape: [batchSize, source.window.samples, 2], dtype: 'uint8' };
  }
  const { crop } = source.augmentation;
  return { shape: [batchSize, crop, crop, input[3]], dtype: 'uint8' };
}

/** Decodes a batch to the first layer's input: [samples * patches, rows, cols, channels]. */
export function decodeInput(batch: Tensor, source: Source, input: ModuleConfig['input']): Tensor {
  const [patches, rows, cols, channels] = input;
  if (source.kind === 'data') return cutPatches(batch, source);
  if (source.kind === 'speech') return normaliseSpeech(batch, source.window);
  const { encoding, rectified } = source.edge;
  const z = CODECS[encoding].decode(batch, patches * rows * cols, channels, rectified);
  const x = tf.reshape(z, [-1, rows, cols, channels]);
  return rectified ? nonNegative(x) : x;
}

/** Cuts images into patches: bytes [images, rows, cols, channels] -> normalised patches [images * patches, size, size, channels]. */
export function cutPatches(
  pixels: Tensor,
  { augmentation, patches }: Pick<Source & { kind: 'data' }, 'augmentation' | 'patches'>,
): Tensor {
  let x: Tensor = tf.div(cast(pixels, DT.uint8, DT.float32), 255);
  const { normalize } = augmentation;
  if (normalize) x = tf.div(tf.sub(x, tf.tensor1d(normalize.mean)), tf.tensor1d(normalize.std));
  const { size, stride } = patches;
  return tf.reshape(extractPatches(x, size, stride), [-1, size, size, pixels.shape[3] as number]);
}

/** Value of a 16-bit sample that stands for 1. */
const FULL_SCALE = 2 ** 15;

/** bytes [windows, samples, 2] -> normalised speech [windows, samples, 1, 1]. */
export function normaliseSpeech(pcm: Tensor, { normalize }: Pick<Window, 'normalize'>): Tensor {
  const { mean, std } = normalize;
  const x = tf.div(tf.sub(fromInt16(pcm), mean * FULL_SCALE), std * FULL_SCALE);
  return tf.reshape(x, [-1, pcm.shape[1] as number, 1, 1]);
}
