import type { Encoding } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { checkFinite } from './check-finite.ts';
import { FrameError } from './frame.ts';

/** An edge with samples of one patch, 2 x 2 positions and 2 channels. */
const shape = [1, 2, 2, 2] as [number, number, number, number];
const BAD = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e30, -1e30];

const float32 = (values: readonly number[]): Uint8Array =>
  new Uint8Array(Float32Array.from(values).buffer);
const bfloat16 = (values: readonly number[]): Uint8Array =>
  float32(values).filter((_, i) => i % 4 > 1);
/** Returns a quantised sample: scales, then levels. int4 has half as many bytes of levels. */
const levels = (scales: readonly number[]): Uint8Array =>
  Uint8Array.of(...float32(scales), ...new Array(8).fill(255));

const check = (encoding: Encoding, bytes: Uint8Array, chunk = 0): void =>
  checkFinite(
    { chunk, samples: [{ id: 7, label: 1, producerStep: 3, madeAt: 0, bytes }] },
    { encoding, shape },
  );

describe('values of a sample', () => {
  const good = [0, -0, 1e-30, -12.5, 1e6, 255, 3, 0.1];

  it('pass if layers can compute them', () => {
    check('float32', float32(good));
    check('bfloat16', bfloat16(good));
    check('int8', levels(good.slice(0, 4)));
    check('int4', levels(good.slice(0, 4)));
  });

  it('are refused if one is NaN, infinite or too large', () => {
    for (const bad of BAD) {
      const values = [...good.slice(0, 3), bad];
      expect(() => check('float32', float32(values)), `${bad}`).toThrow(FrameError);
      expect(() => check('bfloat16', bfloat16(values)), `${bad}`).toThrow(FrameError);
      expect(() => check('int8', levels(values)), `${bad}`).toThrow('sample 7');
      expect(() => check('int4', levels(values)), `${bad}`).toThrow('sample 7');
    }
  });

  it('are not checked in later int8 chunks, which contain only levels', () => {
    check('int8', levels([Number.NaN, 0, 0, 0]), 1);
  });

  it.each([
    ['float32', float32],
    ['bfloat16', bfloat16],
  ] as const)(
    'are all read wherever a message has them, as %s, few or many, the first to the last',
    (encoding, encode) => {
      const width = encode([0]).length;
      for (const [start, count] of placesAndCounts()) {
        const bytes = new Uint8Array(start + width * count + 1).fill(0xff); // bytes around the values do not count
        const values = bytes.subarray(start, start + width * count);
        values.set(encode(new Array(count).fill(3)));
        check(encoding, values);
        for (const i of [0, 1, 2, 3, 4, count - 2, count - 1]) {
          if (i < 0 || i >= count) continue;
          const good = values.slice(width * i, width * (i + 1));
          values.set(encode([Number.NaN]), width * i);
          expect(() => check(encoding, values), `${start} ${count} ${i}`).toThrow(FrameError);
          values.set(good, width * i);
        }
      }
    },
  );
});

function* placesAndCounts(): Generator<[start: number, count: number]> {
  for (let start = 0; start < 8; start += 1) {
    for (let count = 0; count < 12; count += 1) yield [start, count];
    yield [start, 100_001];
  }
}
