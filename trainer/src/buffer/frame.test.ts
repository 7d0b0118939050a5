import { CHUNK_BYTES, MESSAGE_BYTES, samplesPerMessage } from '@greedy-infomax/crds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Assembled, Assembler } from './assembler.ts';
import { eachFrame, FrameError, parseFrame, type Sample, type SentFrame } from './frame.ts';

/** Bytes that tell their sample and their place. */
const pattern = (id: number, size: number) =>
  Uint8Array.from({ length: size }, (_, i) => (id * 31 + i * 7 + (i >> 8)) & 255);

/** Of all that a step puts out. */
const MADE = { producerStep: 30, madeAt: 1_700_000_000_000.25 };

const sample = (id: number, size: number): Sample => ({
  id,
  label: (id % 11) - 1,
  ...MADE,
  bytes: pattern(id, size),
});

const rowsOf = (samples: readonly Sample[]) => ({
  ids: Float64Array.from(samples, ({ id }) => id),
  labels: Int32Array.from(samples, ({ label }) => label),
  ...MADE,
  bytes: new Uint8Array(Buffer.concat(samples.map(({ bytes }) => bytes))),
});

const framesOf = (samples: readonly Sample[], producer: number, first: number): SentFrame[] => {
  let group = first;
  return Array.from(eachFrame(rowsOf(samples), producer, () => group++));
};

/** Around every boundary: one byte, whole samples in a message, exactly one message, several chunks. */
const sizes = [1, 7, 25_000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 5];

const joined = ({ parts, ...sample }: Assembled): Sample => ({
  ...sample,
  bytes: new Uint8Array(Buffer.concat(parts)),
});

describe('frames', () => {
  it.each(sizes)('carry samples of %i bytes and all that belongs to them', (size) => {
    const samples = [1, 2, 3].map((id) => sample(id, size));
    const frames = framesOf(samples, 9, 100);
    const assembler = new Assembler();
    const got = frames.flatMap((frame) => assembler.add(parseFrame(frame, size)));
    expect(got.map(joined)).toEqual(samples);
    for (const { header, body } of frames) {
      expect(header.length + body.length).toBeLessThanOrEqual(MESSAGE_BYTES);
    }
  });

  it('put a batch of small samples into one message', () => {
    const samples = Array.from({ length: 32 }, (_, i) => sample(i, 25_000));
    expect(samplesPerMessage(25_000)).toBeGreaterThan(32);
    expect(framesOf(samples, 1, 0)).toHaveLength(1);
  });

  it('have headers that a server takes, however small and many the samples are', () => {
    const samples = Array.from({ length: 3000 }, (_, i) => sample(i, 1));
    const frames = framesOf(samples, 1, 0);
    expect(frames.length).toBeLessThan(5);
    for (const { header } of frames) expect(header.length).toBeLessThan(60_000);
  });

  it('send the bytes from where they lie', () => {
    const rows = rowsOf([1, 2].map((id) => sample(id, CHUNK_BYTES + 1)));
    for (const { body } of eachFrame(rows, 1, () => 0)) expect(body.buffer).toBe(rows.bytes.buffer);
  });

  it('refuse messages that are no frame of this edge, whatever they are', () => {
    const [good] = framesOf([sample(5, 100)], 1, 0) as [SentFrame];
    const { header, body } = good;
    expect(() => parseFrame(good, 99)).toThrow(/samples of 100 bytes, not 99/);
    expect(() => parseFrame({ header, body: body.subarray(1) }, 100)).toThrow(FrameError);
    expect(() => parseFrame({ header, body: new Uint8Array(MESSAGE_BYTES + 1) }, 100)).toThrow(
      /longer than/,
    );
    expect(() => parseFrame({ header: '', body }, 100)).toThrow('without a header Gim-Frame');
    expect(() => parseFrame({ header: header.slice(4), body }, 100)).toThrow(FrameError);
    fc.assert(
      fc.property(
        fc.string({ maxLength: 120 }),
        fc.uint8Array({ maxLength: 200 }),
        (any, bytes) => {
          expect(() => parseFrame({ header: any, body }, 100)).toThrow(FrameError);
          expect(() => parseFrame({ header: any, body: bytes }, 100)).toThrow(FrameError);
        },
      ),
    );
  });

  it('never throw anything but a FrameError for a header that was tampered with', () => {
    const [{ header, body }] = framesOf([sample(5, 100)], 1, 0) as [SentFrame];
    const bytes = Buffer.from(header, 'base64');
    const place = fc.nat({ max: bytes.length - 1 });
    fc.assert(
      fc.property(place, fc.nat({ max: 255 }), (at, value) => {
        const forged = Buffer.from(bytes);
        forged[at] = value;
        try {
          const frame = parseFrame({ header: forged.toString('base64'), body }, 100);
          expect(frame.samples[0]?.bytes).toHaveLength(100);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
    );
  });
});

describe('an assembler', () => {
  const size = 2 * CHUNK_BYTES + 5;

  it('gives whole samples only, for any interleaving of two producers with chunks lost and repeated', () => {
    const plan = fc.record({
      order: fc.infiniteStream(fc.boolean()),
      fate: fc.infiniteStream(fc.constantFrom('keep', 'keep', 'keep', 'lose', 'repeat')),
    });
    fc.assert(
      fc.property(plan, ({ order, fate }) => {
        const small = 40;
        const queues = [1, 2].map((producer) => {
          const samples = [0, 1, 2].map((i) => sample(producer * 100 + i, size));
          return framesOf(samples, producer, 0).map((frame) => parseFrame(frame, size));
        }) as [ReturnType<typeof parseFrame>[], ReturnType<typeof parseFrame>[]];
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

  it('counts a group that lost a chunk once others have overtaken it, and ignores its late chunk', () => {
    const assembler = new Assembler();
    const [first, ...late] = framesOf([sample(1, size)], 1, 0).map((f) => parseFrame(f, size));
    assembler.add(first as NonNullable<typeof first>);
    for (let i = 0; i < 16; i += 1) {
      const [part] = framesOf([sample(i, size)], 2, i).map((f) => parseFrame(f, size));
      assembler.add(part as NonNullable<typeof part>);
    }
    expect(assembler.torn).toBe(1);
    expect(late.flatMap((frame) => assembler.add(frame))).toEqual([]);
  });
});
