/** The user interrupted the command, and its processes have stopped. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
