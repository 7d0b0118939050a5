/** The user asked to stop, and what ran has stopped. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
