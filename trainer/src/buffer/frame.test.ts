import { CHUNK_BYTES, MESSAGE_BYTES, samplesPerMessage } from '@greedy-infomax/crds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Assembled, Assembler } from './assembler.ts';
import {
  eachFrame,
  FrameError,
  openFrameHeader,
  type Sample,
  type SentFrame,
  sealFrameHeader,
} from './frame.ts';
import { framesOf, joined, read, reread, rowsOf, sample } from './testing/frames.ts';

/** Sizes around each boundary: one byte, whole samples in a message, exactly one message, several chunks. */
const sizes = [1, 7, 25_000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 5];

/** Compares bytes with memcmp, because a matcher would take seconds for megabytes. */
function expectSamples(got: readonly Assembled[], samples: readonly Sample[]): void {
  const rest = ({ bytes: _, ...fields }: Sample) => fields;
  expect(got.map(joined).map(rest)).toEqual(samples.map(rest));
  for (const [i, each] of got.entries()) {
    expect(Buffer.compare(joined(each).bytes, (samples[i] as Sample).bytes)).toBe(0);
  }
}

describe('frames', () => {
  it.each(sizes)('carry samples of %i bytes with id, label, step and time', (size) => {
    const samples = [1, 2, 3].map((id) => sample(id, size));
    const frames = framesOf(samples, 9, 100);
    const assembler = new Assembler();
    const got = frames.flatMap((frame) => assembler.add(reread(frame, size)));
    expectSamples(got, samples);
    for (const { record, payload } of frames) {
      expect(sealFrameHeader(record).length + payload.length).toBeLessThanOrEqual(MESSAGE_BYTES);
    }
  });

  it('put a batch of small samples into one message', () => {
    const samples = Array.from({ length: 32 }, (_, i) => sample(i, 25_000));
    expect(samplesPerMessage(25_000)).toBeGreaterThan(32);
    expect(framesOf(samples, 1, 0)).toHaveLength(1);
  });

  it('have headers within the limit of the server, even for many small samples', () => {
    const samples = Array.from({ length: 3000 }, (_, i) => sample(i, 1));
    const frames = framesOf(samples, 1, 0);
    expect(frames.length).toBeLessThan(5);
    for (const { record } of frames) expect(record.length).toBeLessThan(60_000);
  });

  it('send the bytes without a copy', () => {
    const rows = rowsOf([1, 2].map((id) => sample(id, CHUNK_BYTES + 1)));
    for (const { payload } of eachFrame(rows, 1, () => 0))
      expect(payload.buffer).toBe(rows.bytes.buffer);
  });

  it('carry more bytes than a chunk if the payload is in shared memory', () => {
    const samples = Array.from({ length: 50 }, (_, id) => sample(id, 25_000));
    const [frame] = [...eachFrame(rowsOf(samples), 1, () => 0, 50)];
    expect(frame?.payload.length).toBe(50 * 25_000);
  });

  it('name their producer, and number their groups from the first', () => {
    const samples = [1, 2].map((id) => sample(id, CHUNK_BYTES + 1));
    const frames = framesOf(samples, 9, 100).map((frame) => reread(frame, CHUNK_BYTES + 1));
    expect(
      frames.map(({ producer, group, chunk, chunks }) => [producer, group, chunk, chunks]),
    ).toEqual([
      [9, 100, 0, 2],
      [9, 100, 1, 2],
      [9, 101, 0, 2],
      [9, 101, 1, 2],
    ]);
  });

  it('have a checksum of eight hexadecimal digits', () => {
    for (let id = 0; id < 500; id += 1) {
      const [{ record }] = framesOf([sample(id, 1)], 1, 0) as [SentFrame];
      expect(sealFrameHeader(record)).toMatch(/^[A-Za-z0-9+/=]+\.[0-9a-f]{8}$/);
    }
  });

  it('are refused with the length that their samples need', () => {
    const samples = [1, 2].map((id) => sample(id, 100));
    const [{ record, payload }] = framesOf(samples, 1, 0) as [SentFrame];
    expect(() => read(sealFrameHeader(record), payload.subarray(1), 100)).toThrow(
      'message of 199 bytes: 2 samples need 200',
    );
  });

  it('refuse messages that are not a frame of this edge', () => {
    const [{ record, payload }] = framesOf([sample(5, 100)], 1, 0) as [SentFrame];
    const header = sealFrameHeader(record);
    expect(() => read(header, payload, 99)).toThrow(/samples of 100 bytes, not 99/);
    expect(() => read(header, payload.subarray(1), 100)).toThrow(FrameError);
    expect(() => read(header, new Uint8Array(MESSAGE_BYTES + 1), 100)).toThrow(/longer than/);
    expect(() => openFrameHeader([])).toThrow('header Gim-Frame: 0 values, not 1');
    expect(() => openFrameHeader([header, header])).toThrow('2 values, not 1');
    fc.assert(
      fc.property(
        fc.string({ maxLength: 120 }),
        fc.uint8Array({ maxLength: 200 }),
        (any, bytes) => {
          expect(() => read(any, payload, 100)).toThrow(FrameError);
          expect(() => read(sealFrameHeader(any), bytes, 100)).toThrow(FrameError);
        },
      ),
      { seed: 29 },
    );
  });

  it('refuse a header with any bit flipped', () => {
    const [{ record, payload }] = framesOf(
      [1, 2].map((id) => sample(id, 100)),
      1,
      0,
    ) as [SentFrame];
    const header = Buffer.from(sealFrameHeader(record), 'latin1');
    let refused = 0;
    for (let bit = 0; bit < 8 * header.length; bit += 1) {
      const damaged = Buffer.from(header);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => read(damaged.toString('latin1'), payload, 100)).toThrow(FrameError);
      refused += 1;
    }
    expect(refused).toBe(8 * header.length);
  });

  it.each([
    ['id', 28],
    ['time', 36],
    ['label', 44],
    ["producer's step", 48],
    ['producer', 20],
    ['group', 24],
  ])('refuse a record with another %s under the old checksum', (_, at) => {
    const [{ record, payload }] = framesOf([sample(5, 100)], 1, 0) as [SentFrame];
    const forged = Buffer.from(record, 'base64');
    forged[at] = (forged[at] as number) ^ 1;
    const sum = sealFrameHeader(record).slice(record.length);
    expect(() => read(`${forged.toString('base64')}${sum}`, payload, 100)).toThrow(
      'wrong checksum',
    );
  });

  it('refuse a payload at another place in shared memory than the producer sealed', () => {
    const [{ record, payload }] = framesOf([sample(5, 100)], 1, 0) as [SentFrame];
    const header = sealFrameHeader(record, '1.0.1.100');
    expect(read(header, payload, 100, '1.0.1.100').samples).toHaveLength(1);
    for (const place of ['1.1.1.100', '2.0.1.100', '']) {
      expect(() => read(header, payload, 100, place)).toThrow('wrong checksum');
    }
  });

  it('of another version are refused with a remedy', () => {
    const [{ record, payload }] = framesOf([sample(5, 100)], 1, 0) as [SentFrame];
    const old = Buffer.from(record, 'base64');
    old.writeUInt16LE(2, 4);
    expect(() => read(old.toString('base64'), payload, 100)).toThrow(
      'version 2, this trainer reads version 3; run all trainers of a run from one image',
    );
  });

  it('throw only FrameErrors for a sealed record of random bytes', () => {
    const [{ record, payload }] = framesOf([sample(5, 100)], 1, 0) as [SentFrame];
    const bytes = Buffer.from(record, 'base64');
    const edits = fc.array(fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(edits, fc.nat({ max: bytes.length }), (changes, cut) => {
        const forged = Buffer.from(bytes);
        for (const [at, value] of changes) forged[at] = value;
        for (const head of [forged, forged.subarray(0, cut)]) {
          try {
            const frame = read(sealFrameHeader(head.toString('base64')), payload, 100);
            expect(frame.samples[0]?.bytes).toHaveLength(100);
          } catch (error) {
            expect(error).toBeInstanceOf(FrameError);
          }
        }
      }),
      { seed: 29, numRuns: 2000 },
    );
  });

  const LARGE = CHUNK_BYTES + 1;
  it.each<[what: string, size: number, forge: (head: Buffer) => void, message: string]>([
    ['another number of chunks', 100, (head) => head.writeUInt32LE(2, 16), '2 chunks a sample'],
    ['a chunk beyond the last', LARGE, (head) => head.writeUInt32LE(2, 12), 'chunk 2 of 2'],
    ['no samples', 100, (head) => head.writeUInt16LE(0, 6), '0 samples'],
    ['two samples in a chunk', LARGE, (head) => head.writeUInt16LE(2, 6), '2 samples'],
    [
      'more samples than its header has',
      100,
      (head) => head.writeUInt16LE(2, 6),
      'its header is not of 2 samples',
    ],
    [
      'a chunk with the payload of another',
      LARGE,
      (head) => head.writeUInt32LE(1, 12),
      '1 samples need 1',
    ],
  ])('refuse %s, and say why', (_, size, forge, message) => {
    const [{ record, payload }] = framesOf([sample(5, size)], 1, 0) as [SentFrame];
    const head = Buffer.from(record, 'base64');
    forge(head);
    const forged = () => read(sealFrameHeader(head.toString('base64')), payload, size);
    expect(forged).toThrow(FrameError);
    expect(forged).toThrow(`message of ${payload.length} bytes: ${message}`);
    try {
      forged();
    } catch (error) {
      expect((error as Error).name).toBe('FrameError');
    }
  });
});
