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
const MOST_PAGES = 65536;

/**
 * At least so many bytes that threads share, from the start of a page on. TensorFlow uses the memory of a batch as
 * it is where that begins at a multiple of 64 bytes, and copies it otherwise; JavaScript's own buffers do not begin
 * there, those of WebAssembly do. Beyond 4 GiB there are none, and the batch is copied.
 */
export function batchMemory(bytes: number): SharedArrayBuffer {
  const pages = Math.max(1, Math.ceil(bytes / PAGE));
  if (pages > MOST_PAGES) return new SharedArrayBuffer(bytes);
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return buffer;
}
