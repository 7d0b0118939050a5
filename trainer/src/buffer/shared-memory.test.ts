import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SharedPayloadReader, SharedPayloadWriter } from './shared-memory.ts';

let folder: string;
let reader: SharedPayloadReader;
const writers: SharedPayloadWriter[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gim-bodies-'));
  reader = new SharedPayloadReader(folder);
});
afterEach(() => {
  reader.close();
  for (const writer of writers.splice(0)) writer.close();
  rmSync(folder, { recursive: true });
});

function openWriter(slots: number, keeps = false, producer = 7): SharedPayloadWriter {
  const writer = SharedPayloadWriter.open(folder, producer, slots, keeps);
  if (!writer) throw new Error('no writer');
  writers.push(writer);
  return writer;
}

const payload = (fill: number, bytes = 40_000) => new Uint8Array(bytes).fill(fill);

/** Puts a payload; expects a free slot. */
function put(writer: SharedPayloadWriter, fill: number, bytes?: number): string {
  const place = writer.put(payload(fill, bytes));
  if (place === null) throw new Error('no room');
  return place;
}

describe('payloads in shared memory', () => {
  it.each([16_384, 40_001, 1_032_192])('of %i bytes are read as they were written', (bytes) => {
    const place = put(openWriter(4), 5, bytes);
    expect(reader.read(place)).toEqual(Buffer.alloc(bytes, 5));
  });

  it('of several producers do not mix', () => {
    const [a, b] = [openWriter(4, false, 1), openWriter(4, false, 2)];
    const places = [put(a, 1), put(b, 2), put(a, 3)];
    expect(places.map((place) => reader.read(place)?.[0])).toEqual([1, 2, 3]);
  });

  it('stay in their messages if they are small', () => {
    expect(openWriter(4).put(payload(1, 100))).toBeNull();
  });

  it('are replaced by newer ones, the oldest first', () => {
    const writer = openWriter(2);
    const places = [1, 2, 3].map((fill) => put(writer, fill));
    expect(places.map((place) => reader.read(place)?.[0])).toEqual([undefined, 2, 3]);
  });

  it('are kept until their reader releases them, with keeps', () => {
    const writer = openWriter(2, true);
    const [first] = [put(writer, 1), put(writer, 2)];
    expect(writer.put(payload(3))).toBeNull();
    expect(reader.read(first)?.[0]).toBe(1);
    expect(reader.read(first)?.[0]).toBe(1); // may be delivered again
    reader.release(first);
    expect(reader.read(put(writer, 3))?.[0]).toBe(3);
    expect(reader.read(first)).toBeNull();
  });

  it('reuse a slot once it is free', () => {
    const writer = openWriter(100);
    const slots = [1, 2, 3].map((fill) => {
      const place = put(writer, fill);
      reader.release(place);
      return place.split('.')[1];
    });
    expect(slots).toEqual(['0', '0', '0']);
  });

  it('are not freed by the release of an older one in the same slot', () => {
    const writer = openWriter(1);
    const [old, current] = [put(writer, 1), put(writer, 2)];
    reader.release(old);
    expect(reader.read(current)?.[0]).toBe(2);
  });

  it('are not found for a header without a valid place', () => {
    put(openWriter(4), 1);
    for (const header of [
      '',
      '7',
      '8.0.1.40000',
      '../x.0.1.9',
      '7.0.0.9',
      '7.9999.1.9',
      '7.0.1.-1',
      'a.b.c.d',
    ]) {
      expect(reader.read(header), header).toBeNull();
      reader.release(header);
    }
  });

  it('cannot be put without a folder, beyond the number of slots, or after the end', () => {
    expect(SharedPayloadWriter.open(join(folder, 'none'), 1, 4, false)).toBeNull();
    expect(SharedPayloadWriter.open(folder, 1, 10_000, false)).toBeNull();
    const writer = openWriter(4);
    writer.close();
    expect(writer.put(payload(1))).toBeNull();
  });
});
