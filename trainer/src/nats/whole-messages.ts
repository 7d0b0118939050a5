import { takeMemory } from './message-memory.ts';

/**
 * What comes from a NATS server, cut where messages end. The client's parser takes a message out of the memory that it
 * was read into if it lies there whole; one that comes in several reads it copies, into memory that it doubles until
 * all fits. So what comes is handed on once it is whole, and a large message is read into memory of its own, which whoever
 * gets it may give back (`message-memory.ts`).
 */

/** Bytes of memory that small messages share. */
const SHARED = 1 << 20;
/** Bytes read at a time while no large message is coming; what of one comes with them is copied. */
const READ = 64 << 10;
/** Bytes from which on a message that is not whole yet is large. */
const LARGE = 64 << 10;
/** The most that a NATS server lets a message have. */
const MAX_PAYLOAD = 64 << 20;

const LINE_FEED = 10;
/** With which MSG and HMSG begin, and no other operation of a server. */
const MESSAGES = new Set([...'MH'].map((letter) => letter.charCodeAt(0)));
/** CR LF behind a payload. */
const END = 2;

export class WholeMessages {
  #shared = Buffer.allocUnsafeSlow(SHARED);
  /** Where in the shared memory what was not handed on begins and ends. */
  #begin = 0;
  #end = 0;
  /** A large message that is coming, and how many bytes of it have come. */
  #large: { memory: Buffer; bytes: number } | null = null;

  /** Where the next read goes. Valid until the next call. */
  room(): Buffer {
    if (this.#large) return this.#large.memory.subarray(this.#large.bytes);
    if (this.#shared.length - this.#end < READ) {
      const rest = this.#shared.subarray(this.#begin, this.#end);
      this.#shared = Buffer.allocUnsafeSlow(Math.max(SHARED, rest.length + READ));
      this.#begin = 0;
      this.#end = rest.copy(this.#shared);
    }
    return this.#shared.subarray(this.#end, this.#end + READ);
  }

  /**
   * Takes note of so many bytes that were read into `room()`. Returns what is whole now, often several messages, and
   * null if nothing is. Its memory is not used again, unless it is given back.
   * @throws RangeError for a message that no server sends
   */
  take(bytes: number): Buffer | null {
    if (this.#large) return this.#takeLarge(this.#large, bytes);
    this.#end += bytes;
    const begin = this.#begin;
    while (this.#begin < this.#end) {
      const length = this.#shared.subarray(this.#begin, this.#end).indexOf(LINE_FEED);
      if (length < 0) break;
      const line = this.#begin + length;
      const next = line + 1 + this.#payload(this.#begin, line);
      if (next > this.#end) {
        if (next - this.#begin >= LARGE) this.#moveLarge(next - this.#begin);
        break;
      }
      this.#begin = next;
    }
    return this.#begin > begin ? this.#shared.subarray(begin, this.#begin) : null;
  }

  #takeLarge(large: { memory: Buffer; bytes: number }, bytes: number): Buffer | null {
    large.bytes += bytes;
    if (large.bytes < large.memory.length) return null;
    this.#large = null;
    return large.memory;
  }

  /** Brings what has come of a message of so many bytes to where the rest is read to. */
  #moveLarge(bytes: number): void {
    const memory = takeMemory(bytes);
    this.#large = { memory, bytes: this.#shared.copy(memory, 0, this.#begin, this.#end) };
    this.#end = this.#begin;
  }

  /** Bytes behind the line of an operation. */
  #payload(begin: number, end: number): number {
    if (!MESSAGES.has(this.#shared[begin] as number)) return 0;
    const line = this.#shared.toString('latin1', begin, end).trimEnd();
    const size = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (!Number.isSafeInteger(size) || size < 0 || size > MAX_PAYLOAD) {
      throw new RangeError(`the NATS server announces a message that has no size: ${line}`);
    }
    return size + END;
  }
}
