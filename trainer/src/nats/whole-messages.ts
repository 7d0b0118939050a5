import { takeMemory } from './message-memory.ts';

/**
 * Cuts the bytes from a NATS server at the ends of messages. The client's parser does not copy a message that is whole in
 * one buffer; it copies one from several reads into memory that it doubles until all fits. Bytes are therefore passed on once
 * they are whole. A large message is read into memory of its own, which its reader may give back (`message-memory.ts`).
 */

/** Bytes of the memory that small messages share. */
const SHARED = 1 << 20;
/** Maximum bytes of a read into the shared memory. The start of a large message in it is copied. */
const READ = 64 << 10;
/** Minimum bytes of a large message. */
const LARGE = 64 << 10;
/** Maximum payload of a NATS server, in bytes. */
const MAX_PAYLOAD = 64 << 20;

const LINE_FEED = 10;
/** First letters of MSG and HMSG, and of no other operation of a server. */
const MESSAGES = new Set([...'MH'].map((letter) => letter.charCodeAt(0)));
/** Bytes of CR LF after a payload. */
const END = 2;

export class WholeMessages {
  #shared = Buffer.allocUnsafeSlow(SHARED);
  /** Start and end, in the shared memory, of bytes that are not passed on yet. */
  #begin = 0;
  #end = 0;
  /** A large message that is incomplete, and the number of its bytes read so far. */
  #large: { memory: Buffer; bytes: number } | null = null;

  /** Returns the memory for the next read. Valid until the next call. */
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
   * Takes `bytes` bytes that were read into `room()`. Returns all whole messages, often several; null without one. Their
   * memory is not reused unless it is given back.
   * @throws RangeError for an invalid size
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

  /** Moves the start of a large message of `bytes` bytes into memory of its own. */
  #moveLarge(bytes: number): void {
    const memory = takeMemory(bytes);
    this.#large = { memory, bytes: this.#shared.copy(memory, 0, this.#begin, this.#end) };
    this.#end = this.#begin;
  }

  /** Returns the bytes after the line of an operation. */
  #payload(begin: number, end: number): number {
    if (!MESSAGES.has(this.#shared[begin] as number)) return 0;
    const line = this.#shared.toString('latin1', begin, end).trimEnd();
    const size = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (!Number.isSafeInteger(size) || size < 0 || size > MAX_PAYLOAD) {
      throw new RangeError(`the NATS server sent a message without a valid size: ${line}`);
    }
    return size + END;
  }
}
