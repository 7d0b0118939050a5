import { describe, expect, it } from 'vitest';
import { FrameError } from './frame.ts';
import { checkNumbers } from './numbers.ts';

/** Samples of one patch with 2 x 2 positions of 2 channels. */
const shape = [1, 2, 2, 2] as [number, number, number, number];
const BAD = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e30, -1e30];

const float32 = (values: readonly number[]): Uint8Array =>
  new Uint8Array(Float32Array.from(values).buffer);
const bfloat16 = (values: readonly number[]): Uint8Array =>
  float32(values).filter((_, i) => i % 4 > 1);
/** Scales, then levels. */
const int8 = (scales: readonly number[]): Uint8Array =>
  Uint8Array.of(...float32(scales), ...new Array(8).fill(255));

const check = (encoding: 'float32' | 'bfloat16' | 'int8', bytes: Uint8Array, chunk = 0): void =>
  checkNumbers(
    { chunk, samples: [{ id: 7, label: 1, producerStep: 3, madeAt: 0, bytes }] },
    { encoding, shape },
  );

describe('numbers of a sample', () => {
  const good = [0, -0, 1e-30, -12.5, 1e6, 255, 3, 0.1];

  it('pass where they are what layers put out', () => {
    check('float32', float32(good));
    check('bfloat16', bfloat16(good));
    check('int8', int8(good.slice(0, 4)));
  });

  it('are refused where one is no number or beyond all reason', () => {
    for (const bad of BAD) {
      const values = [...good.slice(0, 3), bad];
      expect(() => check('float32', float32(values)), `${bad}`).toThrow(FrameError);
      expect(() => check('bfloat16', bfloat16(values)), `${bad}`).toThrow(FrameError);
      expect(() => check('int8', int8(values)), `${bad}`).toThrow('sample 7');
    }
  });

  it('are the levels of int8 only in a later part of a sample, where every byte is one', () => {
    check('int8', int8([Number.NaN, 0, 0, 0]), 1);
  });

  it('are read wherever a message has them, be that an odd place', () => {
    const bytes = new Uint8Array(33);
    bytes.set(float32(good), 1);
    check('float32', bytes.subarray(1));
    bytes.set(float32([Number.NaN]), 29);
    expect(() => check('float32', bytes.subarray(1))).toThrow(FrameError);
  });

  it('are read to the last, be they many or an odd number', () => {
    for (const [start, count] of [
      [0, 5],
      [1, 5],
      [1, 100_001],
    ] as const) {
      const bytes = new Uint8Array(start + 2 * count);
      bytes.set(bfloat16(new Array(count).fill(3)), start);
      check('bfloat16', bytes.subarray(start));
      bytes.set(bfloat16([Number.NaN]), start + 2 * (count - 1));
      expect(() => check('bfloat16', bytes.subarray(start))).toThrow(FrameError);
    }
  });
});
