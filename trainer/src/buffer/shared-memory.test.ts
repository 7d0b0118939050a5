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

/** Puts a payload where there must be room for it. */
function put(writer: SharedPayloadWriter, fill: number, bytes?: number): string {
  const place = writer.put(payload(fill, bytes));
  if (place === null) throw new Error('no room');
  return place;
}

describe('shared bodies', () => {
  it.each([16_384, 40_001, 1_032_192])('come out as they went in, of %i bytes', (bytes) => {
    const place = put(openWriter(4), 5, bytes);
    expect(reader.read(place)).toEqual(Buffer.alloc(bytes, 5));
  });

  it('of several producers are kept apart', () => {
    const [a, b] = [openWriter(4, false, 1), openWriter(4, false, 2)];
    const places = [put(a, 1), put(b, 2), put(a, 3)];
    expect(places.map((place) => reader.read(place)?.[0])).toEqual([1, 2, 3]);
  });

  it('stay with their messages where they are small', () => {
    expect(openWriter(4).put(payload(1, 100))).toBeNull();
  });

  it('make room for newer ones, the oldest first', () => {
    const writer = openWriter(2);
    const places = [1, 2, 3].map((fill) => put(writer, fill));
    expect(places.map((place) => reader.read(place)?.[0])).toEqual([undefined, 2, 3]);
  });

  it('are kept until their reader is done with them, where each counts', () => {
    const writer = openWriter(2, true);
    const [first] = [put(writer, 1), put(writer, 2)];
    expect(writer.put(payload(3))).toBeNull();
    expect(reader.read(first)?.[0]).toBe(1);
    expect(reader.read(first)?.[0]).toBe(1); // it may be given out again
    reader.release(first);
    expect(reader.read(put(writer, 3))?.[0]).toBe(3);
    expect(reader.read(first)).toBeNull();
  });

  it('use a slot again as soon as it is free', () => {
    const writer = openWriter(100);
    const slots = [1, 2, 3].map((fill) => {
      const place = put(writer, fill);
      reader.release(place);
      return place.split('.')[1];
    });
    expect(slots).toEqual(['0', '0', '0']);
  });

  it('are not freed by whoever is done with one that was in the same slot', () => {
    const writer = openWriter(1);
    const [old, current] = [put(writer, 1), put(writer, 2)];
    reader.release(old);
    expect(reader.read(current)?.[0]).toBe(2);
  });

  it('are none where a header names no place of a producer here', () => {
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

  it('cannot be put where there is no folder, nor more at a time than the file has slots for, nor after the end', () => {
    expect(SharedPayloadWriter.open(join(folder, 'none'), 1, 4, false)).toBeNull();
    expect(SharedPayloadWriter.open(folder, 1, 10_000, false)).toBeNull();
    const writer = openWriter(4);
    writer.close();
    expect(writer.put(payload(1))).toBeNull();
  });
});
