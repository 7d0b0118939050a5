import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SHARED_PAYLOAD_BYTES } from '@greedy-infomax/crds/frame-limits';
import { giveBack, takeMemory } from '../nats/message-memory.ts';

/**
 * Bodies of messages that stay on one machine: each producer has a file in a folder that is memory, with slots that are used
 * again and again. A message then carries through NATS where its payload is, with all that a stream is for: order, limits,
 * who gets which, what has been used.
 *
 *     0 stamps of the slots (f64 each): which payload is whole there, 0 for none  TABLE the slots, SLOT bytes each
 *
 * Nobody waits for anybody: a reader looks at the stamp before and after it reads, and a payload that was overwritten
 * in between is gone, as a message is that a stream discarded.
 */

/** Header of a message whose payload is in a slot: its producer, slot, stamp and bytes. */
export const PAYLOAD_HEADER = 'Gim-Body';

/** Bytes from which on a payload is worth a slot, which takes eight calls of the system. */
const WORTH = 16 << 10;
const STAMP = 8;
const MAX_SLOTS = 8192;
const TABLE = STAMP * MAX_SLOTS;
/** Of memory only what is written to is there. */
const SLOT = SHARED_PAYLOAD_BYTES;

const fileOf = (folder: string, producer: number): string => join(folder, `${producer}.bodies`);

/** The producer's side. */
export class SharedPayloadWriter {
  readonly #producer: number;
  readonly #keeps: boolean;
  /** Null once closed. */
  #file: number | null;
  readonly #stamps: Float64Array<ArrayBuffer>;
  #written = 0;

  /**
   * Slots for the messages of a stream that holds so many, and a few on their way. `keeps`: a payload stays until its reader
   * is done with it; else the oldest makes room. Null where there is no such folder, or the stream holds too many.
   */
  static open(
    folder: string,
    producer: number,
    slots: number,
    keeps: boolean,
  ): SharedPayloadWriter | null {
    if (slots > MAX_SLOTS) return null;
    try {
      const file = openSync(fileOf(folder, producer), 'w+', 0o600);
      return new SharedPayloadWriter(file, producer, slots, keeps);
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

  /** Where the payload is from now on, for the header. Null where it must go with its message: no room, or not worth it. */
  put(payload: Uint8Array): string | null {
    const file = this.#file;
    if (file === null || payload.length < WORTH || payload.length > SLOT) return null;
    try {
      const slot = this.#freeSlot(file);
      if (slot === null) return null;
      stampSlot(file, slot, 0);
      for (let at = 0; at < payload.length; ) {
        at += writeSync(file, payload, at, payload.length - at, TABLE + slot * SLOT + at);
      }
      this.#written += 1;
      stampSlot(file, slot, this.#written);
      return [this.#producer, slot, this.#written, payload.length].join('.');
    } catch {
      return null; // no memory is left
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  /** The first that is free, as caches may still hold it; else that of the oldest payload, or none. */
  #freeSlot(file: number): number | null {
    this.#stamps.fill(0);
    readSync(file, this.#stamps, 0, this.#stamps.byteLength, 0); // the end of a short file reads as free
    const free = this.#stamps.indexOf(0);
    if (free >= 0) return free;
    return this.#keeps ? null : this.#stamps.indexOf(Math.min(...this.#stamps));
  }
}

/** Where a payload is. */
interface Place {
  file: number;
  slot: number;
  stamp: number;
  bytes: number;
}

/** Where bodies are read into. */
export interface PayloadMemory {
  take(bytes: number): Uint8Array;
  /** Nobody will read it again. */
  giveBack(payload: Uint8Array): void;
}

/** The consumer's side, of all producers. */
export class SharedPayloadReader {
  readonly #folder: string;
  readonly #memory: PayloadMemory;
  /** By producer. */
  readonly #files = new Map<number, number>();

  constructor(folder: string, memory: PayloadMemory = { take: takeMemory, giveBack }) {
    this.#folder = folder;
    this.#memory = memory;
  }

  /** The payload that a header tells of, in memory to be given back. Null if it is not there, or not any more. */
  read(header: string): Uint8Array | null {
    const place = this.#find(header);
    if (!place || !isThere(place)) return null;
    const payload = this.#memory.take(place.bytes);
    if (readInto(payload, place) && isThere(place)) return payload;
    this.#memory.giveBack(payload);
    return null;
  }

  /** Tells the producer that nobody will read the payload again. */
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
    if (slot >= MAX_SLOTS || stamp === 0 || bytes > SLOT) return null;
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

/** False where the file ends before the payload does. */
function readInto(payload: Uint8Array, { file, slot, bytes }: Place): boolean {
  for (let at = 0; at < bytes; ) {
    const read = readSync(file, payload, at, bytes - at, TABLE + slot * SLOT + at);
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
