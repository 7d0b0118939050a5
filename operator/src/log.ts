import { lossy } from '@greedy-infomax/crds';
import pino, { type Logger } from 'pino';

/**
 * The operator's log: pino JSON lines with the keys `run` and `module` where they apply. Into `file`, or
 * to stderr, there pretty when a person watches. LOG_LEVEL sets the level.
 */
export function openLog(file?: string): Logger {
  const level = process.env.LOG_LEVEL ?? 'info';
  if (file !== undefined) {
    return pino({ level }, lossy(pino.destination({ dest: file, sync: true })));
  }
  if (process.stderr.isTTY) {
    return pino({ level, transport: { target: 'pino-pretty', options: { destination: 2 } } });
  }
  return pino({ level }, lossy(pino.destination({ dest: 2, sync: true })));
}
