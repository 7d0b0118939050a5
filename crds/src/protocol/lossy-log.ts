/** The part of a destination of pino that is changed here. */
interface Destination {
  on(event: 'error', listener: () => void): unknown;
  flushSync(): void;
}

/**
 * Makes a synchronous destination of pino lose lines that cannot be written, as on a full disk, instead of ending the
 * process. At a fatal line pino calls `flushSync`, which never returns on a full disk; each line is already written.
 */
export function lossy<T extends Destination>(destination: T): T {
  destination.on('error', () => {});
  destination.flushSync = () => {};
  return destination;
}
