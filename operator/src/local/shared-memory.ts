import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { formatBytes } from '../report/format.ts';
import { removeWithParent } from './watchdog.ts';

/** Where the trainers of a run on one machine hand over activations: a folder in memory. */

export interface SharedFolder {
  path: string;
  /** With all that is in it. */
  remove(): void;
}

/** Of Linux, for all processes. */
const MEMORY = '/dev/shm';
/** What statfs() calls a file system in memory. */
const TMPFS = 0x01021994;

/**
 * A new folder in memory, which does not outlive this process. Null, and a line in the log, where there is not room for twice
 * `bytes`, as in a container that was given 64 MiB: activations then go through NATS.
 */
export function makeSharedFolder(bytes: number, log: Logger, memory = MEMORY): SharedFolder | null {
  try {
    const { type, bavail, bsize } = statfsSync(memory);
    const free = bavail * bsize;
    if (type !== TMPFS || free < 2 * bytes) {
      const why = type === TMPFS ? `${formatBytes(free)} are free there` : 'it is not memory';
      log.info(
        `activations go through NATS, not ${memory}: ${why}, ${formatBytes(2 * bytes)} are needed`,
      );
      return null;
    }
    const path = mkdtempSync(join(memory, 'gim-'));
    const callOff = removeWithParent(path);
    log.info({ path }, 'activations go through memory');
    return {
      path,
      remove() {
        rmSync(path, { recursive: true, force: true });
        callOff();
      },
    };
  } catch (error) {
    log.info({ err: error }, `activations go through NATS: ${memory} cannot be used`);
    return null;
  }
}
