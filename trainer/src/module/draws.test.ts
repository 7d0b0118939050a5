import { expect, it } from 'vitest';
import { Program } from '../step/program.ts';
import type { Tensor } from '../tf.ts';
import { drawsFrom, stepSeed } from './step.ts';

const OPTIMIZER = {
  type: 'adam',
  learningRate: 1,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
} as const;
const MODULE = { seed: 3, index: 1 };
/** The first stream, one between, and the last. */
const STREAMS = [0, 1, 2, 64];

/** Draws of some streams, as a step makes them. */
function draw(
  make: (draws: ReturnType<typeof drawsFrom>, stream: number) => Tensor,
  seeds: Int32Array[],
): number[][] {
  const program = Program.compile({
    weights: {},
    optimizer: OPTIMIZER,
    functions: {
      draw: {
        inputs: { seed: { shape: [2], dtype: 'int32' } },
        build: ({ seed }) => {
          const draws = drawsFrom(seed as Tensor);
          return Object.fromEntries(STREAMS.map((stream) => [stream, make(draws, stream)]));
        },
      },
    },
  });
  const drawn = seeds.flatMap((seed) => {
    const outputs = program.run('draw', { seed });
    return STREAMS.map((stream) => [...(outputs[stream] as Int32Array)]);
  });
  program.dispose();
  return drawn;
}

/** Pearson's statistic of the counts of 0 .. n - 1 against equal ones; n - 1 on average, above n + 6 sqrt(n) by luck once in 10^5. */
function chiSquare(values: readonly number[], n: number): number {
  const counts = new Array<number>(n).fill(0);
  for (const value of values) counts[value] = (counts[value] ?? Number.NaN) + 1;
  const expected = values.length / n;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

const seedsOfSteps = (steps: number) =>
  Array.from({ length: steps }, (_, step) => stepSeed(MODULE, 0, step));

it('no two steps, streams, replicas, modules or seeds of runs draw the same', () => {
  const modules = [3, 4].flatMap((seed) => [0, 1, 2].map((index) => ({ seed, index })));
  const seeds = modules.flatMap((module) =>
    [0, 1, 5].flatMap((replica) =>
      [0, 1, 2, 1_000_000].map((step) => stepSeed(module, replica, step)),
    ),
  );
  const drawn = draw((draws, stream) => draws.ints(stream, [8], 1_000_000), seeds);
  expect(new Set(drawn.map(String)).size).toBe(seeds.length * STREAMS.length);
});

it('draws are the same for the same step', () => {
  const twice = draw(
    (draws, stream) => draws.distinct(stream, [2], 3, 100),
    [stepSeed(MODULE, 0, 7), stepSeed(MODULE, 0, 7)],
  );
  expect(twice.slice(0, STREAMS.length)).toEqual(twice.slice(STREAMS.length));
});

it('numbers are uniform, within a step and over steps', () => {
  const drawn = draw((draws, stream) => draws.ints(stream, [50, 4], 40), seedsOfSteps(100));
  expect(chiSquare(drawn.flat(), 40)).toBeLessThan(40 + 6 * Math.sqrt(40));
  // Takes the first number of each draw: 100 steps of 4 streams.
  const first = drawn.map((values) => values[0] as number);
  expect(chiSquare(first, 40)).toBeLessThan(40 + 6 * Math.sqrt(40));
});

it('a number says nothing about the next one, in the draw or in the next step', () => {
  const drawn = draw((draws, stream) => draws.ints(stream, [200], 8), seedsOfSteps(50));
  const pairs = drawn.flatMap((values) =>
    values.slice(1).map((value, i) => 8 * (values[i] as number) + value),
  );
  expect(chiSquare(pairs, 64)).toBeLessThan(64 + 6 * Math.sqrt(64));
  const acrossSteps = drawn
    .slice(STREAMS.length)
    .flatMap((values, i) => values.map((value, j) => 8 * (drawn[i]?.[j] as number) + value));
  expect(chiSquare(acrossSteps, 64)).toBeLessThan(64 + 6 * Math.sqrt(64));
});

it('distinct numbers are different, and each is as likely in each place', () => {
  const drawn = draw((draws, stream) => draws.distinct(stream, [20], 3, 10), seedsOfSteps(50));
  const triples = drawn.flatMap((values) =>
    Array.from({ length: 20 }, (_, i) => values.slice(3 * i, 3 * i + 3)),
  );
  for (const triple of triples) expect(new Set(triple).size).toBe(3);
  for (const place of [0, 1, 2]) {
    const values = triples.map((triple) => triple[place] as number);
    expect(chiSquare(values, 10)).toBeLessThan(10 + 6 * Math.sqrt(10));
  }
});
