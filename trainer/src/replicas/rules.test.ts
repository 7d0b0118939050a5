import { averagingSchema } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { meanOf, openRule } from './rules.ts';

const rule = (options: object, start: number[]) =>
  openRule(averagingSchema.parse(options), Float32Array.from(start));
const next = (of: ReturnType<typeof rule>, own: number[], mean: number[]) => [
  ...of.next(Float32Array.from(own), Float32Array.from(mean)),
];

describe('the mean', () => {
  it('is computed for each weight', () => {
    const all = [
      [1, 2],
      [3, 4],
      [5, 9],
    ].map((values) => Float32Array.from(values));
    expect([...meanOf(all)]).toEqual([3, 5]);
    expect([...(all[0] as Float32Array)]).toEqual([1, 2]);
  });
});

describe('a rule', () => {
  it('average returns the mean', () => {
    expect(next(rule({ rule: 'average' }, [0]), [1], [3])).toEqual([3]);
  });

  it('elastic moves part of the way to the mean', () => {
    expect(next(rule({ rule: 'elastic', pull: 0.25 }, [0, 0]), [1, 2], [5, -2])).toEqual([2, 1]);
  });

  it('diloco with learning rate 1 and no momentum returns the mean', () => {
    const plain = rule({ rule: 'diloco', outerLearningRate: 1, outerMomentum: 0 }, [1]);
    expect(next(plain, [9], [2])).toEqual([2]);
    expect(next(plain, [9], [4])).toEqual([4]);
  });

  it('diloco continues from its last round with Nesterov momentum', () => {
    const outer = rule({ rule: 'diloco', outerLearningRate: 0.5, outerMomentum: 0.5 }, [0]);
    // Gradient -2, momentum -2: 0 + 0.5 * (2 + 0.5 * 2).
    expect(next(outer, [9], [2])).toEqual([1.5]);
    // Gradient -1, momentum -1 - 0.5 * 2 = -2: 1.5 + 0.5 * (1 + 0.5 * 2).
    expect(next(outer, [9], [2.5])).toEqual([2.5]);
  });

  it('diloco does not share its state with its arguments and results', () => {
    const [start, mean] = [Float32Array.of(0), Float32Array.of(2)];
    const settings = { rule: 'diloco', outerLearningRate: 0.5, outerMomentum: 0.5 };
    const outer = openRule(averagingSchema.parse(settings), start);
    start.fill(100);
    const first = outer.next(Float32Array.of(9), mean);
    expect([...first]).toEqual([1.5]);
    first.fill(100);
    mean.fill(2.5);
    expect([...outer.next(Float32Array.of(9), mean)]).toEqual([2.5]);
  });
});
