import {
  type Buffers,
  checkpointBucket,
  checkpointStream,
  type Edge,
  edgeConsumer,
  edgeStream,
  edgeSubject,
  encodedBytes,
  FRAME_HEADER_BYTES,
  LAYERS,
  type Module,
  messagesHeld,
  messagesPerBatch,
  type PatchShape,
  type RunId,
  SAMPLE_HEADER_BYTES,
  stateStream,
  stateSubjects,
} from '@greedy-infomax/crds';

/** The JetStream stream of an edge and the consumers that the next module reads it through, one a shard. */
export interface StreamPlan {
  name: string;
  subject: string;
  /** dropOldest: the oldest message makes room. block: a full stream refuses, and what is used leaves it. */
  whenFull: 'dropOldest' | 'block';
  /** Samples. */
  depth: number;
  /** Bytes of one encoded sample. */
  sampleBytes: number;
  maxBytes: number;
  maxMessages: number;
  maxMessageBytes: number;
  consumer: { name: string; ackWaitSeconds: number; maxAckPending: number };
}

/** The stream through which the trainers of a module share weights and their place in the data set. */
export interface StatePlan {
  name: string;
  /** Subjects of the stream, which keeps the last message of each. */
  subjects: string;
  maxBytes: number;
  maxMessageBytes: number;
}

/** The stream behind the bucket of a run's checkpoints. */
export interface BucketPlan {
  name: string;
  bucket: string;
  /** Uid of the run. */
  uid: string;
  /** True if the bucket outlives the run. */
  retain: boolean;
}

/** Maximum bytes of a message in a server's default configuration. */
const MAX_MESSAGE_BYTES = 1_048_576;
/** Bytes that the server counts beside a message's payload: subject, NATS headers and its own record. */
const OVERHEAD_BYTES = 512;
/** A dead consumer's messages are given out again after it. One that lives asks for more, however long a step takes. */
const ACK_WAIT_SECONDS = 20;
const MAX_ACK_PENDING = 64;

/**
 * Sizes the stream so that it holds `edge.depth` samples of a producer that sends `batchSize` at a time. `shared`: through
 * memory of one machine, where a message tells of more of them.
 */
export function planStream(edge: Edge, batchSize: number, shared = false): StreamPlan {
  const { depth, sampleBytes, whenFull } = edge;
  const perBatch = messagesPerBatch(edge, batchSize, shared);
  const maxMessages = messagesHeld(edge, batchSize, shared);
  const samples = Math.max(depth, Math.ceil(depth / batchSize) * batchSize);
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

/** Bytes for all state that is not weights. */
const STATE_BYTES = 1_048_576;
/** Factor for the headers of messages that carry weights. */
const STATE_FACTOR = 1.05;

/** `modules`: how many trainers each has, and the bytes of its weights. One alone publishes none. */
export function planState(
  run: RunId,
  modules: readonly { replicas: number; weightBytes: number }[],
): StatePlan {
  const weights = modules.reduce(
    (sum, { replicas, weightBytes }) => sum + (replicas > 1 ? replicas * weightBytes : 0),
    0,
  );
  return {
    name: stateStream(run),
    subjects: stateSubjects(run),
    maxBytes: STATE_BYTES + Math.ceil(STATE_FACTOR * weights),
    maxMessageBytes: MAX_MESSAGE_BYTES,
  };
}

export const planBucket = (run: RunId, retain: boolean): BucketPlan => ({
  name: checkpointStream(run),
  bucket: checkpointBucket(run),
  uid: run.uid,
  retain,
});

/** Plans an edge, as both of its modules need it. `shape` is a patch of the producer's output. */
export function planEdge(
  run: RunId,
  producer: Module,
  consumer: Module,
  { depth, encoding, maxReuse, reuse, whenFull }: Buffers,
  patches: number,
  shape: PatchShape,
): Edge {
  const [first] = consumer.layers;
  return {
    stream: edgeStream(run, producer.name),
    subject: edgeSubject(run, producer.name),
    consumer: edgeConsumer(consumer.name),
    encoding,
    // No loss: either no consumer reads what relu removes, or there is nothing to remove.
    rectified:
      producer.layers.at(-1)?.activation === 'relu' ||
      (first !== undefined && LAYERS[first.type].readsRectified(first, shape[2])),
    shape: [patches, ...shape],
    sampleBytes: encodedBytes(encoding, patches, shape),
    depth,
    whenFull,
    maxReuse,
    ...(reuse === 'always' && { stores: true }),
  };
}
