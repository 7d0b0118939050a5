import { type InfoNCE, infoNCESettings } from '@greedy-infomax/crds';
import { expect, it } from 'vitest';
import { drawsFrom, stepSeed } from '../module/step.ts';
import { pick } from '../step/ops.ts';
import { Program } from '../step/program.ts';
import { OPTIMIZER } from '../step/testing/tensors.ts';
import { type Tensor, tf } from '../tf.ts';
import { negativesOf } from './negatives.ts';
import { segmentOf } from './segment.ts';
import type { Draws } from './types.ts';

const [SAMPLES, ROWS, COLS] = [3, 5, 2];
const COUNT = SAMPLES * ROWS * COLS;
/** Steps of the prediction, and rows between an anchor and the first target. */
const [STEPS, SKIP] = [2, 1];
const NEGATIVES = 4;
const RUNS = 150;

/** Negatives of one anchor of step k, as numbers of positions in the batch. */
interface Drawn {
  k: number;
  positive: number;
  negatives: number[];
}

/** Streams that a step took draws from, in the order of the calls. */
let streams: number[];

/** Negatives of all anchors in `RUNS` training steps; each vector holds the number of its position. */
function draw(sampling: InfoNCE['sampling'], subsample?: number): Drawn[] {
  streams = [];
  const settings = {
    ...infoNCESettings({ type: 'infoNCE', predictionSteps: STEPS, skip: SKIP }),
    negatives: NEGATIVES,
    sampling,
  };
  const program = Program.compile({
    weights: {},
    optimizer: OPTIMIZER,
    functions: {
      draw: {
        inputs: { seed: { shape: [2], dtype: 'int32' } },
        build: ({ seed }) => {
          const made = drawsFrom(seed as Tensor);
          const draws: Draws = {
            ...made,
            ints(stream, shape, max) {
              streams.push(stream);
              return made.ints(stream, shape, max);
            },
          };
          const maps = tf.reshape(tf.range(0, COUNT), [SAMPLES, ROWS, COLS, 1]);
          const segment = segmentOf({ context: maps, target: maps }, subsample, draws);
          const rows = segment.target.shape[1] as number;
          const outputs: Record<string, Tensor> = {};
          for (let k = 1; k <= STEPS; k += 1) {
            const targets = tf.reshape(
              tf.slice(segment.target, [0, k + SKIP, 0, 0], [-1, rows - k - SKIP, -1, -1]),
              [-1, 1],
            );
            const { vectors, rows: drawn } = negativesOf({ k, targets }, segment, settings, draws);
            outputs[`positives${k}`] = tf.reshape(targets, [-1]);
            outputs[`negatives${k}`] = pick(vectors, drawn);
          }
          return outputs;
        },
      },
    },
  });
  const found: Drawn[] = [];
  for (let step = 0; step < RUNS; step += 1) {
    const outputs = program.run('draw', { seed: stepSeed({ seed: 5, index: 0 }, 0, step) });
    for (let k = 1; k <= STEPS; k += 1) {
      const [positives, negatives] = [outputs[`positives${k}`], outputs[`negatives${k}`]];
      [...(positives as Float32Array)].forEach((positive, i) => {
        const own = (negatives as Float32Array).subarray(i * NEGATIVES, (i + 1) * NEGATIVES);
        found.push({ k, positive, negatives: [...own] });
      });
    }
  }
  program.dispose();
  return found;
}

/** Pearson's statistic of the counts of the values `from` against equal ones; NaN if another value was drawn. */
function chiSquare(drawn: readonly number[], from: readonly number[]): number {
  const counts = new Map(from.map((value) => [value, 0]));
  for (const value of drawn) {
    counts.set(value, (counts.get(value) ?? Number.NaN) + 1);
  }
  const expected = drawn.length / from.length;
  return [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
}

/** Exceeded by luck about once in 10^5 draws. */
const limit = (values: number) => values + 6 * Math.sqrt(values);
const all = Array.from({ length: COUNT }, (_, i) => i);
const sampleOf = (position: number) => Math.floor(position / (ROWS * COLS));

/** Fails if some anchor does not get each of `among(anchor)` about equally often. */
function expectUniform(found: readonly Drawn[], among: (anchor: Drawn) => number[]): void {
  const byAnchor = Map.groupBy(found, ({ k, positive }) => `${k} ${positive}`);
  expect(byAnchor.size).toBeGreaterThan(6);
  for (const [anchor, own] of byAnchor) {
    const values = among(own[0] as Drawn);
    const drawn = own.flatMap(({ negatives }) => negatives);
    expect(chiSquare(drawn, values), `step and positive ${anchor}`).toBeLessThan(
      limit(values.length),
    );
  }
}

/** Fails if the steps of the prediction draw the same. */
function expectStepsToDiffer(found: readonly Drawn[]): void {
  const of = (k: number) => found.filter((each) => each.k === k).map(({ negatives }) => negatives);
  const [first, second] = [of(1), of(2)];
  const same = second.filter((own, i) => `${own}` === `${first[i]}`).length;
  expect(same / second.length).toBeLessThan(0.05);
}

it('others: any position of the batch but the positive, uniformly', () => {
  const found = draw('others');
  expectUniform(found, ({ positive }) => all.filter((position) => position !== positive));
  expectStepsToDiffer(found);
});

it('others: the positive is left out wherever a segment begins', () => {
  const found = draw('others', 4);
  expect(streams).toEqual([0, 1, 2]); // the start of the segment, and each step of the prediction

  expectUniform(found, ({ positive }) => all.filter((position) => position !== positive));
});

it('targets: any target of the same step, uniformly', () => {
  const found = draw('targets');
  const targets = (k: number) =>
    all.filter((position) => Math.floor(position / COLS) % ROWS >= k + SKIP);
  expectUniform(found, ({ k }) => targets(k));
  expect(streams).toEqual([1, 2]);
  expectStepsToDiffer(found);
});

it('shared: any position of the batch, uniformly; no two anchors share the same negative of a draw', () => {
  const found = draw('shared');
  expectUniform(found, () => all);
  const ofFirstStep = found.slice(0, SAMPLES * (ROWS - 1 - SKIP) * COLS);
  expect(new Set(ofFirstStep.map(({ negatives }) => negatives[0])).size).toBe(ofFirstStep.length);
});

it('sequence: any position of the same sample, uniformly, and samples draw apart', () => {
  const found = draw('sequence');
  expectUniform(found, ({ positive }) =>
    all.filter((position) => sampleOf(position) === sampleOf(positive)),
  );
  const inSample = (position: number) => position % (ROWS * COLS);
  const [first, second] = [0, 1].map((sample) =>
    found
      .filter(({ k, positive }) => k === 1 && sampleOf(positive) === sample)
      .map(({ negatives }) => negatives.map(inSample)),
  );
  const same = (first ?? []).filter((own, i) => `${own}` === `${second?.[i]}`).length;
  expect(same / (first ?? []).length).toBeLessThan(0.05);
});

it('a segment begins at each row that leaves room for it, about equally often', () => {
  const length = 3;
  const starts = Array.from({ length: ROWS - length + 1 }, (_, i) => i);
  const program = Program.compile({
    weights: {},
    optimizer: OPTIMIZER,
    functions: {
      draw: {
        inputs: { seed: { shape: [2], dtype: 'int32' } },
        build: ({ seed }) => {
          const maps = tf.reshape(tf.range(0, COUNT), [SAMPLES, ROWS, COLS, 1]);
          const { target } = segmentOf(
            { context: maps, target: maps },
            length,
            drawsFrom(seed as Tensor),
          );
          return { target };
        },
      },
    },
  });
  const found = Array.from({ length: 600 }, (_, step) => {
    const { target } = program.run('draw', { seed: stepSeed({ seed: 5, index: 0 }, 0, step) });
    const values = [...(target as Float32Array)];
    const start = (values[0] as number) / COLS;
    const expected = all.filter((position) => {
      const row = Math.floor(position / COLS) % ROWS;
      return row >= start && row < start + length;
    });
    expect(values).toEqual(expected);
    return start;
  });
  program.dispose();
  expect(chiSquare(found, starts)).toBeLessThan(limit(starts.length));
});

it.each([ROWS, ROWS + 3])('a segment of %i rows is all rows, where there are no more', (length) => {
  const maps = tf.reshape(tf.range(0, COUNT), [SAMPLES, ROWS, COLS, 1]);
  const draws: Draws = {
    ints: () => expect.unreachable('draws a start'),
    distinct: () => expect.unreachable('draws negatives'),
  };
  const segment = segmentOf({ context: maps, target: maps }, length, draws);
  expect(segment).toMatchObject({ start: 0, allRows: ROWS });
  expect(segment.target).toBe(maps);
});
