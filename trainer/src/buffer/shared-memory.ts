import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SHARED_BODY_BYTES } from '@greedy-infomax/crds/frame-limits';
import { giveBack, takeMemory } from '../nats/message-memory.ts';

/**
 * Bodies of messages that stay on one machine: each producer has a file in a folder that is memory, with slots that are used
 * again and again. A message then carries through NATS where its body is, with all that a stream is for: order, limits,
 * who gets which, what has been used.
 *
 *     0 stamps of the slots (f64 each): which body is whole there, 0 for none  TABLE the slots, SLOT bytes each
 *
 * Nobody waits for anybody: a reader looks at the stamp before and after it reads, and a body that was overwritten
 * in between is gone, as a message is that a stream discarded.
 */

/** Header of a message whose body is in a slot: its producer, slot, stamp and bytes. */
export const BODY_HEADER = 'Gim-Body';

/** Bytes from which on a body is worth a slot, which takes eight calls of the system. */
const WORTH = 16 << 10;
const STAMP = 8;
const MOST_SLOTS = 8192;
const TABLE = STAMP * MOST_SLOTS;
/** Of memory only what is written to is there. */
const SLOT = SHARED_BODY_BYTES;

const fileOf = (folder: string, producer: number): string => join(folder, `${producer}.bodies`);

/** The producer's side. */
export class SharedBodyWriter {
  readonly #producer: number;
  readonly #keeps: boolean;
  /** Null once closed. */
  #file: number | null;
  readonly #stamps: Float64Array<ArrayBuffer>;
  #written = 0;

  /**
   * Slots for the messages of a stream that holds so many, and a few on their way. `keeps`: a body stays until its reader
   * is done with it; else the oldest makes room. Null where there is no such folder, or the stream holds too many.
   */
  static open(
    folder: string,
    producer: number,
    slots: number,
    keeps: boolean,
  ): SharedBodyWriter | null {
    if (slots > MOST_SLOTS) return null;
    try {
      const file = openSync(fileOf(folder, producer), 'w+', 0o600);
      return new SharedBodyWriter(file, producer, slots, keeps);
    } catch {
      return null;
    }
  }

  private constructor(file: number, producer: number, slots: number, keeps: boolean) {
    this.#file = file;
    this.#producer = producer;
    this.#stamps = new Float64Array(slots);
    this.#keeps = keeps;
  }

  /** Where the body is from now on, for the header. Null where it must go with its message: no room, or not worth it. */
  put(body: Uint8Array): string | null {
    const file = this.#file;
    if (file === null || body.length < WORTH || body.length > SLOT) return null;
    try {
      const slot = this.#freeSlot(file);
      if (slot === null) return null;
      stampSlot(file, slot, 0);
      for (let at = 0; at < body.length; ) {
        at += writeSync(file, body, at, body.length - at, TABLE + slot * SLOT + at);
      }
      this.#written += 1;
      stampSlot(file, slot, this.#written);
      return [this.#producer, slot, this.#written, body.length].join('.');
    } catch {
      return null; // no memory is left
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  /** The first that is free, as caches may still hold it; else that of the oldest body, or none. */
  #freeSlot(file: number): number | null {
    this.#stamps.fill(0);
    readSync(file, this.#stamps, 0, this.#stamps.byteLength, 0); // the end of a short file reads as free
    const free = this.#stamps.indexOf(0);
    if (free >= 0) return free;
    return this.#keeps ? null : this.#stamps.indexOf(Math.min(...this.#stamps));
  }
}

/** Where a body is. */
interface Place {
  file: number;
  slot: number;
  stamp: number;
  bytes: number;
}

/** Where bodies are read into. */
export interface BodyMemory {
  take(bytes: number): Uint8Array;
  /** Nobody will read it again. */
  giveBack(body: Uint8Array): void;
}

/** The consumer's side, of all producers. */
export class SharedBodyReader {
  readonly #folder: string;
  readonly #memory: BodyMemory;
  /** By producer. */
  readonly #files = new Map<number, number>();

  constructor(folder: string, memory: BodyMemory = { take: takeMemory, giveBack }) {
    this.#folder = folder;
    this.#memory = memory;
  }

  /** The body that a header tells of, in memory to be given back. Null if it is not there, or not any more. */
  read(header: string): Uint8Array | null {
    const place = this.#find(header);
    if (!place || !isThere(place)) return null;
    const body = this.#memory.take(place.bytes);
    if (readInto(body, place) && isThere(place)) return body;
    this.#memory.giveBack(body);
    return null;
  }

  /** Tells the producer that nobody will read the body again. */
  release(header: string): void {
    const place = this.#find(header);
    if (place && isThere(place)) stampSlot(place.file, place.slot, 0);
  }

  close(): void {
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }

  #find(header: string): Place | null {
    const numbers = header.split('.').map(Number);
    if (numbers.length !== 4 || !numbers.every((n) => Number.isSafeInteger(n) && n >= 0)) {
      return null;
    }
    const [producer, slot, stamp, bytes] = numbers as [number, number, number, number];
    if (slot >= MOST_SLOTS || stamp === 0 || bytes > SLOT) return null;
    const file = this.#open(producer);
    return file === null ? null : { file, slot, stamp, bytes };
  }

  #open(producer: number): number | null {
    const open = this.#files.get(producer);
    if (open !== undefined) return open;
    try {
      const file = openSync(fileOf(this.#folder, producer), 'r+');
      this.#files.set(producer, file);
      return file;
    } catch {
      return null;
    }
  }
}

function stampSlot(file: number, slot: number, stamp: number): void {
  writeSync(file, Float64Array.of(stamp), 0, STAMP, slot * STAMP);
}

/** False where the file ends before the body does. */
function readInto(body: Uint8Array, { file, slot, bytes }: Place): boolean {
  for (let at = 0; at < bytes; ) {
    const read = readSync(file, body, at, bytes - at, TABLE + slot * SLOT + at);
    if (read === 0) return false;
    at += read;
  }
  return true;
}

function isThere({ file, slot, stamp }: Place): boolean {
  const found = new Float64Array(1);
  readSync(file, found, 0, STAMP, slot * STAMP);
  return found[0] === stamp;
}
