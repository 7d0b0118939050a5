/**
 * What comes from a NATS server, cut where messages end. The client's parser takes a message out of the memory that it
 * was read into if it lies there whole; one that comes in several reads it copies, into memory that it doubles until
 * all fits. So here the socket reads into large pieces of memory, and what comes is handed on once it is whole.
 */

/** Bytes of a piece of memory: several of the largest messages of an edge. */
const MEMORY = 4 << 20;
/** Bytes that a read finds room for at the least. Reads of a busy client bring half a megabyte. */
const LEAST_ROOM = 512 << 10;
/** The most that a NATS server lets a message have. */
const MAX_PAYLOAD = 64 << 20;

const LINE_FEED = 10;
/** With which MSG and HMSG begin, and no other operation of a server. */
const MESSAGES = new Set([...'MH'].map((letter) => letter.charCodeAt(0)));
/** CR LF behind a payload. */
const END = 2;

export class WholeMessages {
  #memory = Buffer.allocUnsafeSlow(MEMORY);
  /** Where in the memory what was not handed on begins and ends. */
  #begin = 0;
  #end = 0;
  /** Bytes that the message at the beginning has, as far as is known. */
  #wanted = 0;

  /** Where the next read goes. Valid until the next call. */
  room(): Buffer {
    const { length } = this.#memory;
    if (length - this.#end < LEAST_ROOM || length - this.#begin < this.#wanted) {
      const memory = Buffer.allocUnsafeSlow(Math.max(MEMORY, this.#wanted + LEAST_ROOM));
      this.#memory.copy(memory, 0, this.#begin, this.#end);
      this.#memory = memory;
      this.#end -= this.#begin;
      this.#begin = 0;
    }
    return this.#memory.subarray(this.#end);
  }

  /**
   * Takes note of so many bytes that were read into `room()`. Returns what is whole now, often several messages, and
   * null if nothing is. Its memory is not used again.
   * @throws RangeError for a message that no server sends
   */
  take(bytes: number): Buffer | null {
    this.#end += bytes;
    if (this.#end - this.#begin < this.#wanted) return null;
    this.#wanted = 0;
    let at = this.#begin;
    while (at < this.#end) {
      const length = this.#memory.subarray(at, this.#end).indexOf(LINE_FEED);
      if (length < 0) break;
      const line = at + length;
      const next = line + 1 + this.#payload(at, line);
      if (next > this.#end) {
        this.#wanted = next - at;
        break;
      }
      at = next;
    }
    if (at === this.#begin) return null;
    const whole = this.#memory.subarray(this.#begin, at);
    this.#begin = at;
    return whole;
  }

  /** Bytes behind the line of an operation. */
  #payload(begin: number, end: number): number {
    if (!MESSAGES.has(this.#memory[begin] as number)) return 0;
    const line = this.#memory.toString('latin1', begin, end).trimEnd();
    const size = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (!Number.isSafeInteger(size) || size < 0 || size > MAX_PAYLOAD) {
      throw new RangeError(`the NATS server announces a message that has no size: ${line}`);
    }
    return size + END;
  }
}
