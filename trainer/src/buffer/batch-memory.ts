/** TypeScript declares it with the types of browsers, which are not for here. */
declare const WebAssembly: {
  Memory: new (size: {
    initial: number;
    maximum: number;
    shared: true;
  }) => { buffer: SharedArrayBuffer };
};

/** Bytes of a page of WebAssembly, and how many of them a memory may have. */
const PAGE = 65536;
const MAX_PAGES = 65536;

/**
 * At least so many bytes that threads share, from the start of a page on. TensorFlow uses the memory of a batch as
 * it is where that begins at a multiple of 64 bytes, and copies it otherwise; JavaScript's own buffers do not begin
 * there, those of WebAssembly do. Beyond 4 GiB there are none, and the batch is copied.
 */
export function batchMemory(bytes: number): SharedArrayBuffer {
  const pages = Math.max(1, Math.ceil(bytes / PAGE));
  if (pages > MAX_PAGES) return new SharedArrayBuffer(bytes);
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return buffer;
}

/** Memories of a batch each: a message that is exactly a batch is read where the step will read it. */
export class BatchMemories {
  readonly #bytes: number;
  /** That may still be made. */
  #more: number;
  readonly #free: SharedArrayBuffer[] = [];
  readonly #taken = new Set<ArrayBufferLike>();

  /** At most so many, each of so many bytes. */
  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#more = most;
  }

  /** Null where all are taken, or another size is asked for. */
  take(bytes: number): Buffer | null {
    if (bytes !== this.#bytes) return null;
    let memory = this.#free.pop();
    if (!memory && this.#more > 0) {
      this.#more -= 1;
      memory = batchMemory(bytes);
    }
    if (!memory) return null;
    this.#taken.add(memory);
    return Buffer.from(memory, 0, bytes);
  }

  /** The memory of which `view` is a part, if it was taken here; else null. */
  find({ buffer }: Uint8Array): SharedArrayBuffer | null {
    return this.#taken.has(buffer) ? (buffer as SharedArrayBuffer) : null;
  }

  /** Whether it was taken here; the next batch is read into it. */
  giveBack(view: Uint8Array): boolean {
    const memory = this.find(view);
    if (!memory) return false;
    this.#taken.delete(memory);
    this.#free.push(memory);
    return true;
  }
}
