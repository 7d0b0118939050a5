/** Declared here because TypeScript declares WebAssembly only with the types of browsers. */
declare const WebAssembly: {
  Memory: new (size: {
    initial: number;
    maximum: number;
    shared: true;
  }) => { buffer: SharedArrayBuffer };
};

/** Bytes of a page of WebAssembly, and the maximum number of pages of a memory. */
const PAGE = 65536;
const MAX_PAGES = 65536;

/**
 * Returns at least `bytes` of shared memory, aligned to a page. TensorFlow uses the memory of a batch without a copy if it
 * is aligned to 64 bytes. JavaScript's buffers are not, those of WebAssembly are. They are limited to 4 GiB; TensorFlow
 * copies larger batches.
 */
export function batchMemory(bytes: number): SharedArrayBuffer {
  const pages = Math.max(1, Math.ceil(bytes / PAGE));
  if (pages > MAX_PAGES) return new SharedArrayBuffer(bytes);
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return buffer;
}

/** Pool of memories of one batch each: a message that is exactly a batch is read to where the step reads it. */
export class BatchMemories {
  readonly #bytes: number;
  /** Number of memories that may still be allocated. */
  #more: number;
  readonly #free: SharedArrayBuffer[] = [];
  readonly #taken = new Set<ArrayBufferLike>();

  /** Creates a pool of at most `most` memories of `bytes` bytes each. */
  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#more = most;
  }

  /** Returns a memory; null if all are taken or `bytes` is another size. */
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

  /** Returns the taken memory that `view` is a part of; null if it is not from this pool. */
  find({ buffer }: Uint8Array): SharedArrayBuffer | null {
    return this.#taken.has(buffer) ? (buffer as SharedArrayBuffer) : null;
  }

  /** Returns the memory of `view` to the pool. Returns false if it is not from this pool. */
  giveBack(view: Uint8Array): boolean {
    const memory = this.find(view);
    if (!memory) return false;
    this.#taken.delete(memory);
    this.#free.push(memory);
    return true;
  }
}
