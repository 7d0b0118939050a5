/** Waits for all, so that nothing goes on unseen; resolves with what each came to. @throws the first error */
export async function together<T>(works: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}
