/**
 * Memory of large messages that came. Once nobody needs a message its memory is given back, and the next one is read
 * into it. Where nobody gives it back the garbage collector finds it, as any other; but V8 collects all garbage for each
 * 64 MB that were allocated so, which at the rate of an edge is several times a second, and the system clears new memory.
 */

/** Sizes are multiples of it, so that messages of nearly the same size use the same memory. */
const STEP = 64 << 10;
/** Bytes that are kept for messages to come; what is given back beyond them is freed. */
const MAX_KEPT = 64 << 20;

/** What was taken and not given back. */
const taken = new WeakSet<ArrayBufferLike>();
/** What was given back, by size. */
const kept = new Map<number, ArrayBuffer[]>();
let keptBytes = 0;

/** So many bytes, which may be those of a message before. */
export function takeMemory(bytes: number): Buffer {
  const size = Math.ceil(bytes / STEP) * STEP;
  let memory: ArrayBufferLike | undefined = kept.get(size)?.pop();
  if (memory) keptBytes -= size;
  else memory = Buffer.allocUnsafeSlow(size).buffer;
  taken.add(memory);
  return Buffer.from(memory, 0, bytes);
}

/**
 * Gives back the memory in which `view` is, if `takeMemory` gave it, and does nothing for any other. All views of it are
 * empty from then on: nobody can read another message in the place of the one that it was given.
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
