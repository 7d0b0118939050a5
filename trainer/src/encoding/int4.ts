import { cast, withZeros } from '../step/ops.ts';
import { DT, tf } from '../tf.ts';
import { ofLevels } from './levels.ts';

const LEVELS = 16;

/** 4 bits a value: 15 steps. A byte holds one of the first half of a sample's values above one of the second. */
export const int4 = ofLevels({
  highest: LEVELS - 1,
  pack(levels) {
    const [, n] = levels.shape as [number, number];
    const half = Math.ceil(n / 2);
    const upper = tf.slice(levels, [0, 0], [-1, half]);
    const lower = tf.slice(levels, [0, half], [-1, n - half]);
    const whole = withZeros(lower, [
      [0, 0],
      [0, 2 * half - n],
    ]);
    const bytes = tf.add(tf.mul(tf.floor(upper), LEVELS), whole);
    return cast(bytes, DT.float32, DT.uint8);
  },
  unpack(packed, n) {
    const bytes = cast(packed, DT.uint8, DT.float32);
    const upper = tf.floor(tf.mul(bytes, 1 / LEVELS));
    const lower = tf.sub(bytes, tf.mul(upper, LEVELS));
    return tf.slice(tf.concat([upper, lower], 1), [0, 0], [-1, n]);
  },
});
