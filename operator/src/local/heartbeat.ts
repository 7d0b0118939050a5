import { rmSync, statSync } from 'node:fs';

/**
 * The sign of life of a trainer: a file that it writes at every report, in and between waits, as the probes of
 * a pod read it. A process that hangs in a step, or was stopped, does not.
 */
export class Pulse {
  readonly file: string;
  #writtenAt: number | undefined;
  /** When that was seen, on the clock that nobody sets: a jump of the other one is no silence. */
  #seenAt = 0;

  /** Takes away what an earlier process has left. */
  constructor(file: string) {
    this.file = file;
    rmSync(file, { force: true });
  }

  /** Milliseconds since the last new sign of life was seen, by calls of this; 0 before the first. */
  silentMs(now = performance.now()): number {
    const writtenAt = statSync(this.file, { throwIfNoEntry: false })?.mtimeMs;
    if (writtenAt !== this.#writtenAt) this.#seenAt = now;
    this.#writtenAt = writtenAt;
    return writtenAt === undefined ? 0 : now - this.#seenAt;
  }
}
