import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Replay } from './replay.ts';

type Sample = { id: number };

const sample = (id: number): Sample => ({ id });
const ids = (taken: { id: number }[] | null) => taken?.map(({ id }) => id) ?? null;

describe('a dropOldest replay', () => {
  const open = (capacity: number, maxReuse = 0) =>
    new Replay<Sample>({ whenFull: 'dropOldest', capacity, maxReuse });

  it('gives the freshest of the least used', () => {
    const replay = open(8, 1);
    for (const id of [1, 2, 3]) replay.put(sample(id));
    expect(ids(replay.take(2))).toEqual([3, 2]);
    replay.put(sample(4));
    expect(ids(replay.take(3))).toEqual([4, 1, 3]);
    expect(replay.reused).toBe(1);
  });

  it('gives only what was not used where that is asked for', () => {
    const replay = open(8, 3);
    for (const id of [1, 2, 3]) replay.put(sample(id));
    expect(ids(replay.take(2))).toEqual([3, 2]);
    expect(replay.take(2, true)).toBeNull();
    replay.put(sample(4));
    expect(ids(replay.take(2, true))).toEqual([4, 1]);
    expect(replay.reused).toBe(0);
  });

  it('tells which sample left for another, and which may still be given', () => {
    const replay = open(2, 1);
    const [one, two, three] = [sample(1), sample(2), sample(3)];
    expect(replay.put(one)).toBeNull();
    expect(replay.put(two)).toBeNull();
    expect(replay.put(three)).toBe(one);
    expect([one, two, three].map((each) => replay.holds(each))).toEqual([false, true, true]);
    replay.take(1);
    expect(replay.holds(three)).toBe(true);
    replay.take(2);
    expect([two, three].map((each) => replay.holds(each))).toEqual([true, false]);
  });

  it('gives nothing rather than fewer than asked for', () => {
    const replay = open(8);
    replay.put(sample(1));
    expect(replay.take(2)).toBeNull();
    expect(ids(replay.take(1))).toEqual([1]);
    expect(replay.take(1)).toBeNull();
  });

  it('makes room by dropping the most used, then the oldest, and counts only what was never used', () => {
    const replay = open(2, 5);
    replay.put(sample(1));
    replay.put(sample(2));
    replay.take(1); // 2
    replay.put(sample(3)); // in place of 2, which was used
    expect(replay.dropped).toBe(0);
    replay.put(sample(4)); // in place of 1, which was not
    expect(replay.dropped).toBe(1);
    expect(ids(replay.take(2))).toEqual([4, 3]);
  });

  it('accounts for every sample, never uses one too often, and never twice in a batch', () => {
    const steps = fc.array(fc.oneof(fc.constant('put' as const), fc.integer({ min: 1, max: 4 })));
    fc.assert(
      fc.property(steps, fc.nat({ max: 3 }), (plan, maxReuse) => {
        const replay = open(4, maxReuse);
        const uses = new Map<number, number>();
        let put = 0;
        for (const step of plan) {
          if (step === 'put') {
            replay.put(sample(put));
            put += 1;
          } else {
            const batch = ids(replay.take(step)) ?? [];
            expect(new Set(batch).size).toBe(batch.length);
            for (const id of batch) uses.set(id, (uses.get(id) ?? 0) + 1);
          }
        }
        for (const count of uses.values()) expect(count).toBeLessThanOrEqual(1 + maxReuse);
        expect(uses.size + replay.dropped + replay.fresh).toBe(put);
        expect(replay.reused).toBe([...uses.values()].reduce((sum, n) => sum + n - 1, 0));
      }),
    );
  });
});

describe('a block replay', () => {
  it('gives each sample once, in the order of arrival, and drops none', () => {
    const replay = new Replay<Sample>({ whenFull: 'block', capacity: 1, maxReuse: 0 });
    for (const id of [1, 2, 3, 4]) replay.put(sample(id));
    expect(ids(replay.take(3))).toEqual([1, 2, 3]);
    replay.put(sample(5));
    expect(ids(replay.take(2))).toEqual([4, 5]);
    expect(replay.dropped).toBe(0);
  });
});
