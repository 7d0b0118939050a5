import type { Encoding } from '@greedy-infomax/crds';
import { DT, type Tensor, tf } from '../tf.ts';
import {
  bitcast,
  cast,
  concatBytes,
  fromBfloat16,
  reshapeBytes,
  sliceBytes,
  toBfloat16,
  withZeros,
} from './ops.ts';

/**
 * Converts activations to bytes and back inside the graph. The step returns one row of bytes per sample, so four
 * times fewer bytes leave the device and the edge handles bytes only. `encodedBytes` (crds) is the length of a row.
 */
export interface Codec {
  /** float32 [samples, positions, channels] -> bytes [samples, n]. */
  encode(z: Tensor, rectified: boolean): Tensor;
  /** bytes [samples, n] -> float32 [samples, positions, channels]. */
  decode(bytes: Tensor, positions: number, channels: number, rectified: boolean): Tensor;
}

/** Lossless: four bytes per value. */
const float32: Codec = {
  encode: (z) => reshapeBytes(bitcast(z, DT.float32, DT.uint8), [z.shape[0] as number, -1]),
  decode: (bytes, positions, channels) =>
    bitcast(
      reshapeBytes(bytes, [bytes.shape[0] as number, positions, channels, 4]),
      DT.uint8,
      DT.float32,
    ),
};

/** Upper 16 bits of a float32, rounded to nearest: the relative error is at most 2^-8. */
const bfloat16: Codec = {
  encode: (z) => reshapeBytes(toBfloat16(z), [z.shape[0] as number, -1]),
  decode: (bytes, positions, channels) =>
    fromBfloat16(reshapeBytes(bytes, [bytes.shape[0] as number, positions, channels, 2])),
};

/** Packing of quantized levels. */
interface Packing {
  /** Highest level; the lowest is 0. */
  highest: number;
  /** float32 levels [samples, n], fractional parts are truncated -> bytes [samples, ..]. */
  pack(levels: Tensor): Tensor;
  /** bytes [samples, ..] -> float32 levels [samples, n]. */
  unpack(bytes: Tensor, n: number): Tensor;
}

/** Prevents a division by zero for a channel with a constant value. */
const SMALLEST_STEP = 1e-20;

/**
 * Highest or lowest value of each channel: [samples, positions, channels] -> [samples, 1, channels]. Reduces in two
 * halves because a GPU visits the positions of a channel one after the other: this saves 1 ms of 24 for a step of
 * ResNet-50's first module on an H100.
 */
function overPositions(z: Tensor, reduce: typeof tf.max): Tensor {
  const [samples, positions, channels] = z.shape as [number, number, number];
  let rows = Math.floor(Math.sqrt(positions));
  while (positions % rows !== 0) rows -= 1;
  const halves = tf.reshape(z, [samples, rows, positions / rows, channels]);
  return reduce(reduce(halves, 2), 1, true);
}

/**
 * Quantizes each channel of each sample to equal steps between its lowest and its highest value; the error is at most
 * half a step. A row starts with the scales, float32 [lowest, step][channels]. Rectified activations start at 0, so
 * their zeros stay exact.
 */
const quantized = ({ highest: most, pack, unpack }: Packing): Codec => ({
  encode(z, rectified) {
    const samples = z.shape[0] as number;
    const highest = overPositions(z, tf.max); // [samples, 1, channels]
    const lowest = rectified ? tf.zerosLike(highest) : overPositions(z, tf.min);
    const step = tf.maximum(tf.div(tf.sub(highest, lowest), most), SMALLEST_STEP);
    const above = rectified ? z : tf.sub(z, lowest);
    const levels = tf.add(tf.div(above, step), 0.5);
    const scales = bitcast(tf.concat([lowest, step], 1), DT.float32, DT.uint8); // [samples, 2, channels, 4]
    return concatBytes(
      [reshapeBytes(scales, [samples, -1]), pack(tf.reshape(levels, [samples, -1]))],
      1,
    );
  },
  decode(bytes, positions, channels, rectified) {
    const [samples, all] = bytes.shape as [number, number];
    const scaleBytes = 8 * channels;
    const scales = bitcast(
      reshapeBytes(sliceBytes(bytes, 0, scaleBytes), [samples, 2, channels, 4]),
      DT.uint8,
      DT.float32,
    ); // [samples, 2, channels]
    const [lowest, step] = tf.split(scales, 2, 1);
    const packed = sliceBytes(bytes, scaleBytes, all - scaleBytes);
    const levels = tf.reshape(unpack(packed, positions * channels), [samples, positions, channels]);
    const above = tf.mul(levels, step as typeof levels);
    return rectified ? above : tf.add(above, lowest as typeof levels);
  },
});

/** 8 bits per value: 255 steps. */
const int8 = quantized({
  highest: 255,
  pack: (levels) => cast(levels, DT.float32, DT.uint8),
  unpack: (bytes) => cast(bytes, DT.uint8, DT.float32),
});

const INT4_LEVELS = 16;

/** 4 bits per value: 15 steps. A byte's upper half holds a value of a sample's first half, its lower half one of the second. */
const int4 = quantized({
  highest: INT4_LEVELS - 1,
  pack(levels) {
    const [, n] = levels.shape as [number, number];
    const half = Math.ceil(n / 2);
    const upper = tf.slice(levels, [0, 0], [-1, half]);
    const lower = tf.slice(levels, [0, half], [-1, n - half]);
    const whole = withZeros(lower, [
      [0, 0],
      [0, 2 * half - n],
    ]);
    const bytes = tf.add(tf.mul(tf.floor(upper), INT4_LEVELS), whole);
    return cast(bytes, DT.float32, DT.uint8);
  },
  unpack(packed, n) {
    const bytes = cast(packed, DT.uint8, DT.float32);
    const upper = tf.floor(tf.mul(bytes, 1 / INT4_LEVELS));
    const lower = tf.sub(bytes, tf.mul(upper, INT4_LEVELS));
    return tf.slice(tf.concat([upper, lower], 1), [0, 0], [-1, n]);
  },
});

export const CODECS: Record<Encoding, Codec> = { float32, bfloat16, int8, int4 };
