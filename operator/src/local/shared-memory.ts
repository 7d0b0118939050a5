import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { formatBytes } from '../report/format.ts';
import { removeWithParent } from './watchdog.ts';

/** A folder in memory through which the trainers of a run exchange activations on one machine. */

export interface SharedFolder {
  path: string;
  /** Removes the folder and its content. */
  remove(): void;
}

/** Mount point of Linux' shared memory, common to all processes. */
const MEMORY = '/dev/shm';
/** Type of a tmpfs in the result of statfs(). */
const TMPFS = 0x01021994;

/**
 * Creates a folder in memory; it is removed when this process ends. Returns null and logs a message if there is not
 * room for twice `bytes`, for example in a container with 64 MiB. Activations then go through NATS.
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
