import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { StatePlan, StreamPlan } from '../plan/run.ts';
import { ensureStreams } from './streams.ts';

/**
 * Keeps the streams of a run available. They live in the memory of the NATS server, so a restart deletes them
 * and their consumers, and training stops until they are restored.
 */

export interface Upkeep {
  /** Resolves when no check is in progress. */
  stop(): Promise<void>;
}

/** Checks and repairs every `everyMs`, first after one interval, until it is stopped. */
export function startUpkeep(
  connection: NatsConnection,
  streams: readonly (StreamPlan | StatePlan)[],
  log: Logger,
  everyMs = 1000,
): Upkeep {
  const stopping = new AbortController();
  const over = keep();
  return {
    stop: () => {
      stopping.abort();
      return over;
    },
  };

  async function keep(): Promise<void> {
    while (await pause(everyMs, stopping.signal)) {
      try {
        const writes = await ensureStreams(connection, streams);
        if (writes > 0) log.warn({ writes }, 'made streams again that were missing or changed');
      } catch (error) {
        // The server is unreachable or still starting; the next round retries.
        log.info({ err: error }, 'could not look after the streams');
      }
    }
  }
}

/** Resolves with false if `signal` ended the pause. */
const pause = (ms: number, signal: AbortSignal): Promise<boolean> =>
  sleep(ms, true, { signal }).catch(() => false);
