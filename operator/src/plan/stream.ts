import {
  chunksPerSample,
  type Edge,
  FRAME_HEADER_BYTES,
  SAMPLE_HEADER_BYTES,
  samplesPerMessage,
} from '@greedy-infomax/crds';

/** The JetStream stream of an edge and the consumer that the next module reads it through. */
export interface StreamPlan {
  name: string;
  subject: string;
  /** dropOldest: the oldest message makes room. block: a full stream refuses, and what is used leaves it. */
  whenFull: 'dropOldest' | 'block';
  /** Samples. */
  depth: number;
  /** Of one encoded sample. */
  sampleBytes: number;
  maxBytes: number;
  maxMessages: number;
  maxMessageBytes: number;
  consumer: { name: string; ackWaitSeconds: number; maxAckPending: number };
}

/** What a server takes that nobody configured. */
const MAX_MESSAGE_BYTES = 1_048_576;
/** What the server counts beside a message's body: subject, NATS headers and its own record. */
const OVERHEAD_BYTES = 512;
/** Longer than a step takes; a dead consumer's messages are given out again after it. */
const ACK_WAIT_SECONDS = 60;
const MAX_ACK_PENDING = 64;

/** Sizes the stream so that it holds `edge.depth` samples of a producer that sends `batchSize` at a time. */
export function planStream(edge: Edge, batchSize: number): StreamPlan {
  const { depth, sampleBytes, whenFull } = edge;
  const perBatch = messagesOfBatch(sampleBytes, batchSize);
  const batches = Math.ceil(depth / batchSize);
  // One message alone would be replaced while it is read.
  const maxMessages = Math.max(
    2,
    chunked(sampleBytes) ? depth * chunksPerSample(sampleBytes) : batches * perBatch,
  );
  const samples = Math.max(depth, batches * batchSize);
  return {
    name: edge.stream,
    subject: edge.subject,
    whenFull,
    depth,
    sampleBytes,
    maxBytes:
      samples * (sampleBytes + SAMPLE_HEADER_BYTES) +
      maxMessages * (FRAME_HEADER_BYTES + SAMPLE_HEADER_BYTES + OVERHEAD_BYTES),
    maxMessages,
    maxMessageBytes: MAX_MESSAGE_BYTES,
    consumer: {
      name: edge.consumer,
      ackWaitSeconds: ACK_WAIT_SECONDS,
      // block: samples are acknowledged after their step, so a module may hold all that the stream does.
      maxAckPending: whenFull === 'block' ? maxMessages + 4 * perBatch : MAX_ACK_PENDING,
    },
  };
}

const chunked = (sampleBytes: number): boolean => samplesPerMessage(sampleBytes) === 0;

/** Messages that a batch is sent in. */
const messagesOfBatch = (sampleBytes: number, batchSize: number): number =>
  chunked(sampleBytes)
    ? batchSize * chunksPerSample(sampleBytes)
    : Math.ceil(batchSize / samplesPerMessage(sampleBytes));
