import type { Edge } from '@greedy-infomax/crds';
import type { NatsAccess } from '../nats/connect.ts';

/** What the compute thread and the thread of the NATS client say to each other. */

export interface WorkerOptions extends NatsAccess {
  role: 'source' | 'sink';
  clientName: string;
  edge: Edge;
  batchSize: number;
  /** Sink: tells this process from others that feed the same edge. */
  producer: number;
  /** Source: number of this trainer among those that read the edge. */
  replica: number;
  /** Folder in memory through which bodies go that stay on this machine. */
  shared?: string;
}

export interface BatchInfo {
  ids: Float64Array;
  labels: Int32Array;
  producerSteps: Int32Array;
  /** The newest step of the same producer that any sample told of. */
  newestSteps: Int32Array;
  madeAt: Float64Array;
}

export interface SourceCounters {
  /** Whole samples that came. */
  received: number;
  /** Samples that came or should have come and were never used. */
  dropped: number;
  reused: number;
  /** Samples that lost a part on the way. */
  incomplete: number;
  /** Messages that were no part of this edge. */
  refused: number;
  /** Why the last of them was refused; empty before the first. */
  refusal: string;
  /** Messages that came more than once. */
  repeated: number;
}

export const NO_COUNTS: SourceCounters = {
  received: 0,
  dropped: 0,
  reused: 0,
  incomplete: 0,
  refused: 0,
  refusal: '',
  repeated: 0,
};

export interface SinkCounters {
  published: number;
  /** Samples given up because the server was not there or too slow. */
  dropped: number;
}

/** Rows of encoded samples of equal size, one after another, in memory that nobody writes to again. */
export interface Rows extends Pick<BatchInfo, 'ids' | 'labels'> {
  bytes: Uint8Array;
  producerStep: number;
  madeAt: number;
}

export type ToWorker =
  | { type: 'take'; count: number; unused: boolean }
  | { type: 'cancel' }
  | { type: 'done' }
  | { type: 'put'; rows: Rows }
  | { type: 'flush' }
  | { type: 'pending' }
  /** How many trainers read the edge. */
  | { type: 'share'; readers: number }
  | { type: 'close' };

export type FromWorker =
  /** `memory`: where its rows are, until it is done. */
  | { type: 'batch'; memory: SharedArrayBuffer; info: BatchInfo; counters: SourceCounters }
  | { type: 'accepted' }
  | { type: 'flushed'; counters: SinkCounters }
  | { type: 'pending'; samples: number | null }
  /** Of a source that refuses messages, between batches. */
  | { type: 'counters'; counters: SourceCounters }
  | { type: 'closed' };
