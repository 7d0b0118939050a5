import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SHARED_PAYLOAD_BYTES } from '@greedy-infomax/crds/frame-limits';
import { giveBack, takeMemory } from '../nats/message-memory.ts';

/**
 * Payloads of messages that stay on one machine: each producer has a file of reusable slots in a folder in memory. The
 * message in NATS carries the payload's place, and keeps the stream's order, limits, delivery and acknowledgements.
 *
 *     0 stamps (f64 per slot): number of the whole payload in it, 0 for none  TABLE the slots, SLOT bytes each
 *
 * There are no locks: a reader checks the stamp before and after it reads. A payload that was overwritten in between is
 * lost, like a message that the stream discarded.
 */

/** Header of a message whose payload is in a slot: its producer, slot, stamp and bytes. */
export const PAYLOAD_HEADER = 'Gim-Body';

/** Minimum bytes of a payload for a slot: a slot costs eight system calls. */
const MIN_BYTES = 16 << 10;
const STAMP = 8;
const MAX_SLOTS = 8192;
const TABLE = STAMP * MAX_SLOTS;
/** Bytes of a slot. Only written pages take memory. */
const SLOT = SHARED_PAYLOAD_BYTES;

const fileOf = (folder: string, producer: number): string => join(folder, `${producer}.bodies`);

/** Writes the payloads of one producer. */
export class SharedPayloadWriter {
  readonly #producer: number;
  readonly #keeps: boolean;
  /** Null once closed. */
  #file: number | null;
  readonly #stamps: Float64Array<ArrayBuffer>;
  #written = 0;

  /**
   * Opens a file with `slots` slots, enough for the messages in the stream and in flight. `keeps`: a payload stays until its
   * reader releases it; else a new payload replaces the oldest. Returns null without the folder or for too many slots.
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

  /** Writes a payload and returns its place for the header; null if it must go in its message: too small, or no slot. */
  put(payload: Uint8Array): string | null {
    const file = this.#file;
    if (file === null || payload.length < MIN_BYTES || payload.length > SLOT) return null;
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
      return null; // out of memory
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  /** Returns the first free slot, which caches may still hold; else the slot of the oldest payload, or null. */
  #freeSlot(file: number): number | null {
    this.#stamps.fill(0);
    readSync(file, this.#stamps, 0, this.#stamps.byteLength, 0); // slots beyond the end of the file read as free
    const free = this.#stamps.indexOf(0);
    if (free >= 0) return free;
    return this.#keeps ? null : this.#stamps.indexOf(Math.min(...this.#stamps));
  }
}

/** Place of a payload. */
interface Place {
  file: number;
  slot: number;
  stamp: number;
  bytes: number;
}

/** Memory that payloads are read into. */
export interface PayloadMemory {
  take(bytes: number): Uint8Array;
  /** Returns memory that is no longer read. */
  giveBack(payload: Uint8Array): void;
}

/** Reads the payloads of all producers. */
export class SharedPayloadReader {
  readonly #folder: string;
  readonly #memory: PayloadMemory;
  /** Open files by producer. */
  readonly #files = new Map<number, number>();

  constructor(folder: string, memory: PayloadMemory = { take: takeMemory, giveBack }) {
    this.#folder = folder;
    this.#memory = memory;
  }

  /** Reads the payload that a header names, into memory to be given back; null if it is missing or overwritten. */
  read(header: string): Uint8Array | null {
    const place = this.#find(header);
    if (!place || !isThere(place)) return null;
    const payload = this.#memory.take(place.bytes);
    if (readInto(payload, place) && isThere(place)) return payload;
    this.#memory.giveBack(payload);
    return null;
  }

  /** Frees the slot of a payload that is no longer read. */
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

/** Reads a payload. Returns false if the file is too short. */
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
