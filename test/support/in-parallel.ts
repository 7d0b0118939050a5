/** Calls `work` with 0 to `count` - 1, at most `parallel` at a time. Rejects with the first error. */
export async function inParallel(
  parallel: number,
  count: number,
  work: (i: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) await work(i);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}
