/**
 * Pool of memory for large received messages: memory that is given back is reused for the next message. Memory that is not
 * given back is garbage collected as usual. The pool saves time: V8 runs a full garbage collection for each 64 MB of such
 * allocations, several times a second at the rate of an edge, and the system clears new memory.
 */

/** Granularity of sizes in bytes, so that messages of nearly the same size reuse the same memory. */
const STEP = 64 << 10;
/** Maximum bytes that the pool keeps; memory beyond it is freed. */
const MAX_KEPT = 64 << 20;

/** Memory that was taken and not given back. */
const taken = new WeakSet<ArrayBufferLike>();
/** Memory that was given back, by size. */
const kept = new Map<number, ArrayBuffer[]>();
let keptBytes = 0;

/** Returns memory of `bytes` bytes, with unspecified content. */
export function takeMemory(bytes: number): Buffer {
  const size = Math.ceil(bytes / STEP) * STEP;
  let memory: ArrayBufferLike | undefined = kept.get(size)?.pop();
  if (memory) keptBytes -= size;
  else memory = Buffer.allocUnsafeSlow(size).buffer;
  taken.add(memory);
  return Buffer.from(memory, 0, bytes);
}

/**
 * Returns the memory of `view` to the pool. Does nothing if it is not from `takeMemory`. Detaches all views of it, so that
 * no reader of the old message can see the next one.
 */
export function giveBack({ buffer }: Uint8Array): void {
  if (!taken.delete(buffer)) return;
  const size = buffer.byteLength;
  if (keptBytes + size > MAX_KEPT) {
    (buffer as ArrayBuffer).transfer(0);
    return;
  }
  const memory = (buffer as ArrayBuffer).transfer();
  keptBytes += size;
  const others = kept.get(size);
  if (others) others.push(memory);
  else kept.set(size, [memory]);
}
