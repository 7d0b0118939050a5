import { rmSync, statSync } from 'node:fs';

/**
 * Heartbeat of a trainer: a file that it writes with every report, also while it waits. Liveness probes of pods
 * read the same file. A process that hangs in a step, or is suspended, stops writing it.
 */
export class Pulse {
  readonly file: string;
  #writtenAt: number | undefined;
  /** Time the last change was seen, on the monotonic clock: a change of the system time must not look like silence. */
  #seenAt = 0;

  /** Deletes the file of an earlier process. */
  constructor(file: string) {
    this.file = file;
    rmSync(file, { force: true });
  }

  /** Returns the milliseconds since a call of this method last saw a new heartbeat, or 0 before the first heartbeat. */
  silentMs(now = performance.now()): number {
    const writtenAt = statSync(this.file, { throwIfNoEntry: false })?.mtimeMs;
    if (writtenAt !== this.#writtenAt) this.#seenAt = now;
    this.#writtenAt = writtenAt;
    return writtenAt === undefined ? 0 : now - this.#seenAt;
  }
}
