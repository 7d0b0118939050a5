import { CHUNK_BYTES } from '@greedy-infomax/crds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Assembled, Assembler } from './assembler.ts';
import type { Frame } from './frame.ts';
import { framesOf, joined, pattern, reread, sample } from './testing/frames.ts';

describe('an assembler', () => {
  const size = 2 * CHUNK_BYTES + 5;

  it('returns whole samples only, for any order of two producers with lost and repeated chunks', () => {
    const plan = fc.record({
      order: fc.infiniteStream(fc.boolean()),
      fate: fc.infiniteStream(fc.constantFrom('keep', 'keep', 'keep', 'lose', 'repeat')),
    });
    fc.assert(
      fc.property(plan, ({ order, fate }) => {
        const small = 40;
        const queues = [1, 2].map((producer) => {
          const samples = [0, 1, 2].map((i) => sample(producer * 100 + i, size));
          return framesOf(samples, producer, 0).map((frame) => reread(frame, size));
        }) as [Frame[], Frame[]];
        const assembler = new Assembler();
        const got: Assembled[] = [];
        const complete = new Map<string, Set<number>>();
        while (queues[0].length + queues[1].length > 0) {
          const queue = queues[order.next().value ? 0 : 1];
          const frame = queue.shift();
          if (frame === undefined) continue;
          const what = fate.next().value;
          if (what === 'lose') continue;
          const key = `${frame.producer}:${frame.group}`;
          complete.set(key, (complete.get(key) ?? new Set()).add(frame.chunk));
          got.push(...assembler.add(frame));
          if (what === 'repeat') got.push(...assembler.add(frame));
        }
        const whole = [...complete.values()].filter((chunks) => chunks.size === 3).length;
        expect(got).toHaveLength(whole);
        for (const { id, bytes } of got.map(joined)) {
          expect(Buffer.compare(bytes.subarray(0, small), pattern(id, small))).toBe(0);
          expect(Buffer.compare(bytes, pattern(id, size))).toBe(0);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('counts a group that lost a chunk once newer groups overtake it, and ignores its late chunk', () => {
    const assembler = new Assembler();
    const [first, ...late] = framesOf([sample(1, size)], 1, 0).map((f) => reread(f, size));
    assembler.add(first as NonNullable<typeof first>);
    for (let i = 0; i < 16; i += 1) {
      const [part] = framesOf([sample(i, size)], 2, i).map((f) => reread(f, size));
      assembler.add(part as NonNullable<typeof part>);
    }
    expect(assembler.incomplete).toBe(1);
    expect(late.flatMap((frame) => assembler.add(frame))).toEqual([]);
  });
});
