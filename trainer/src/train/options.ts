import type { ModuleConfig } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import type { NatsAccess } from '../nats/connect.ts';

export interface TrainerOptions {
  config: ModuleConfig;
  /** Folder of the checkpoints and the history. */
  out: string;
  nats: NatsAccess;
  /** Folder in memory that the trainers of a machine share. Default: all that modules exchange goes through NATS. */
  shared?: string;
  replica: number;
  log: Logger;
  /** Aborted when a clean stop is asked for. */
  stop: AbortSignal;
}
