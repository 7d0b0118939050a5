import { type Encoding, encodedBytes } from '@greedy-infomax/crds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../tf.ts';
import { CODECS } from './codecs.ts';
import { Program } from './program.ts';

const optimizer = { type: 'adam' as const, learningRate: 1, beta1: 0.9, beta2: 0.9, epsilon: 1 };

/** Encodes and decodes in a compiled graph, as a trainer does. */
function roundTrip(
  encoding: Encoding,
  rectified: boolean,
  [samples, positions, channels]: readonly [number, number, number],
  z: Float32Array,
) {
  const rowBytes = encodedBytes(encoding, 1, [positions, 1, channels]);
  const program = Program.compile({
    weights: {},
    optimizer,
    functions: {
      encode: {
        inputs: { z: { shape: [samples, positions, channels], dtype: 'float32' } },
        build: ({ z }) => ({ bytes: CODECS[encoding].encode(z as Tensor, rectified) }),
      },
      decode: {
        inputs: { bytes: { shape: [samples, rowBytes], dtype: 'uint8' } },
        build: ({ bytes }) => ({
          z: CODECS[encoding].decode(bytes as Tensor, positions, channels, rectified),
        }),
      },
    },
  });
  const { bytes } = program.run('encode', { z });
  const decoded = program.run('decode', { bytes: bytes as Uint8Array }).z as Float32Array;
  program.dispose();
  return { bytes: bytes as Uint8Array, decoded };
}

const cases = fc.tuple(
  fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 5 }),
  ),
  fc.integer({ min: 1, max: 1000 }),
  fc.boolean(),
);

function values(count: number, seed: number, rectified: boolean): Float32Array {
  const z = Float32Array.from(
    { length: count },
    (_, i) => Math.sin(seed * (i + 1)) * (1 + (i % 7)),
  );
  return rectified ? z.map((x) => Math.max(0, x)) : z;
}

describe('an encoding', () => {
  it('float32 gives back every bit', () => {
    fc.assert(
      fc.property(cases, ([shape, seed, rectified]) => {
        const z = values(shape[0] * shape[1] * shape[2], seed, rectified);
        expect(roundTrip('float32', rectified, shape, z).decoded).toEqual(z);
      }),
      { numRuns: 10 },
    );
  });

  it('bfloat16 is off by at most one part in 256', () => {
    fc.assert(
      fc.property(cases, ([shape, seed, rectified]) => {
        const z = values(shape[0] * shape[1] * shape[2], seed, rectified);
        const { decoded } = roundTrip('bfloat16', rectified, shape, z);
        for (const [i, x] of z.entries()) {
          expect(Math.abs((decoded[i] as number) - x)).toBeLessThanOrEqual(Math.abs(x) / 256);
        }
      }),
      { numRuns: 10 },
    );
  });

  it.each([
    ['int8', 255],
    ['int4', 15],
  ] as const)(
    '%s is off by at most half of one of %i steps of the range of the channel, and keeps the zeros of relu',
    (encoding, steps) => {
      fc.assert(
        fc.property(cases, ([shape, seed, rectified]) => {
          const [samples, positions, channels] = shape;
          const z = values(samples * positions * channels, seed, rectified);
          const { decoded } = roundTrip(encoding, rectified, shape, z);
          for (let s = 0; s < samples; s += 1) {
            for (let c = 0; c < channels; c += 1) {
              const at = Array.from(
                { length: positions },
                (_, p) => (s * positions + p) * channels + c,
              );
              const column = at.map((i) => z[i] as number);
              const low = rectified ? 0 : Math.min(...column);
              const half = (Math.max(...column) - low) / steps / 2;
              for (const i of at) {
                expect(Math.abs((decoded[i] as number) - (z[i] as number))).toBeLessThanOrEqual(
                  half * 1.001 + 1e-6,
                );
                if (rectified && z[i] === 0) expect(decoded[i]).toBe(0);
              }
            }
          }
        }),
        { numRuns: 10 },
      );
    },
  );

  it.each(['float32', 'bfloat16', 'int8', 'int4'] as const)(
    '%s makes as many bytes as the plan counts with',
    (encoding) => {
      const { bytes } = roundTrip(encoding, true, [2, 5, 3], values(30, 1, true));
      expect(bytes.length).toBe(2 * encodedBytes(encoding, 1, [5, 1, 3]));
    },
  );
});
