/**
 * Waits until all promises settle, so that none continues unobserved. Resolves with their results.
 * @throws the first error
 */
export async function together<T>(works: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}
