import type { Edge } from '@greedy-infomax/crds';
import type { NatsAccess } from '../nats/connect.ts';

/** Messages between the compute thread and the worker thread of an edge. */

export interface WorkerOptions extends NatsAccess {
  role: 'source' | 'sink';
  clientName: string;
  edge: Edge;
  batchSize: number;
  /** Sink: random id of this process among the producers of the edge. */
  producer: number;
  /** Source: index of this trainer among those that read the edge. */
  replica: number;
  /** Folder in memory for payloads that stay on this machine. Default: payloads go through the server. */
  shared?: string;
}

export interface BatchInfo {
  ids: Float64Array;
  labels: Int32Array;
  producerSteps: Int32Array;
  /** Newest step of the sample's producer, as seen in any sample. */
  newestSteps: Int32Array;
  madeAt: Float64Array;
}

export interface SourceCounters {
  /** Number of whole samples received. */
  received: number;
  /** Number of samples that were never used, including those that were never received. */
  dropped: number;
  reused: number;
  /** Number of samples that lost a chunk. */
  incomplete: number;
  /** Number of messages that do not belong to this edge. */
  refused: number;
  /** Why the last of them was refused; empty before the first. */
  refusal: string;
  /** Number of messages that were received again. */
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
  /** Number of samples given up because the server was unreachable or too slow. */
  dropped: number;
}

/** Encoded samples of equal size, one after another, in memory that is not written to again. */
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
  /** Sets the number of trainers that read the edge. */
  | { type: 'share'; readers: number }
  | { type: 'close' };

export type FromWorker =
  /** `memory`: rows of the batch, valid until `done`. */
  | { type: 'batch'; memory: SharedArrayBuffer; info: BatchInfo; counters: SourceCounters }
  | { type: 'accepted' }
  | { type: 'flushed'; counters: SinkCounters }
  | { type: 'pending'; samples: number | null }
  /** Counters of a source that refuses messages, between batches. */
  | { type: 'counters'; counters: SourceCounters }
  | { type: 'closed' };
