import { describe, expect, it } from 'vitest';
import { allCases, CLAIM, nameOf, type Result } from './cases.ts';
import { page, verdictOn } from './page.ts';

/**
 * Results of all cases: accuracy falls by half a point per doubling, and only the slowed module
 * takes longer.
 */
const results: Result[] = allCases().map((one) => ({
  ...one,
  accuracy: 0.6 + one.seed / 100 - Math.log2(one.slowdown) / 200,
  seconds: one.policy === 'synchronous' ? [9] : [2, 3 * one.slowdown, 4],
  reused: 10,
  weights: one.policy === 'latest' ? nameOf(one) : `seed ${one.seed}`,
}));
const setting = { samples: 16_000, machine: 'a machine', day: '2026-01-01' };

describe('the page on modules of unequal speed', () => {
  it('has every case once', () => {
    expect(new Set(results.map(nameOf)).size).toBe(results.length);
    const first = (of: string) => results.filter(({ policy, seed }) => policy === of && seed === 1);
    expect(first('latest')).toHaveLength(12);
    expect(first('block')).toHaveLength(8);
  });

  it('compares seed by seed with synchronous training and with the same run at full speed', () => {
    const verdict = verdictOn(results);
    expect(verdict?.toSynchronous).toHaveLength(CLAIM.seeds.length);
    expect(verdict?.meanToSynchronous).toBeCloseTo(-1);
    expect(verdict?.meanToUnslowed).toBeCloseTo(-1);
    expect(verdict?.others).toEqual([1, 1]);
  });

  it('reports that the claim did not hold', () => {
    const worse = results.map((one) =>
      one.slowdown === CLAIM.slowdown ? { ...one, accuracy: one.accuracy - 0.02 } : one,
    );
    expect(page(worse, setting)).toContain('did **not** hold against synchronous');
    expect(page(results.slice(1), setting)).toContain('Not all trainings were run');
  });

  it('reports how many runs that block ended with the weights of synchronous training', () => {
    expect(page(results, setting)).toContain('8 of 8 runs');
    const other = results.map((one) => (one.slowdown === 8 ? { ...one, weights: '' } : one));
    expect(page(other, setting)).toContain('7 of 8 runs');
  });

  it('shows each case in a row', () => {
    const text = page(results, setting);
    expect(text).toContain('| latest | 8 | 4× | 2 | 2.0 | 12.0 | 4.0 | 10 | 61.0% | −1.0 |');
    expect(text.match(/^\| (latest|block|synchronous) /gm)).toHaveLength(results.length);
  });
});
