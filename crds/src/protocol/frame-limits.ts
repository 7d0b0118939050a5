/**
 * Rules for packing samples into messages. The planner sizes streams by them; trainers build messages by them. A message
 * with its headers stays below 1 MiB, the default limit of a NATS server.
 */

export const MESSAGE_BYTES = 1_032_192; // 1 MiB - 16 KiB
/** Bytes of the header of a message, and of the header of each sample or chunk in it. */
export const FRAME_HEADER_BYTES = 64;
export const SAMPLE_HEADER_BYTES = 32;
/** Maximum number of samples of a message: their headers stay below 64 KiB, which a server accepts. */
const MAX_SAMPLES = 1024;

/**
 * Maximum bytes of samples that one message describes if their payload goes through shared memory. A few megabytes, because
 * each message costs the server and both ends the same, independent of its samples.
 */
export const SHARED_PAYLOAD_BYTES = 4 << 20;

const ROOM = MESSAGE_BYTES - FRAME_HEADER_BYTES;

/** Returns how many whole samples fit into one message; 0 if a sample is too large. */
export const samplesPerMessage = (sampleBytes: number): number =>
  Math.min(MAX_SAMPLES, Math.floor(ROOM / (SAMPLE_HEADER_BYTES + sampleBytes)));

/** Settings of an edge that its number of messages depends on. */
interface EdgeSize {
  sampleBytes: number;
  depth: number;
  whenFull: 'dropOldest' | 'block';
}

/**
 * Returns how many samples of a batch go into one message; 0 if a sample is too large. With `block`, all messages of a
 * batch have the same number of samples, so that a consumer never uses a message in part. `shared`: payloads go through
 * shared memory. Samples too large for a message are split into the same chunks there.
 */
export function samplesPerFrame(
  { sampleBytes, whenFull }: Omit<EdgeSize, 'depth'>,
  batchSize: number,
  shared = false,
): number {
  const sent = samplesPerMessage(sampleBytes);
  const inMemory = Math.min(MAX_SAMPLES, Math.floor(SHARED_PAYLOAD_BYTES / sampleBytes));
  let samples = Math.min(batchSize, shared && sent > 0 ? inMemory : sent);
  while (whenFull === 'block' && samples > 1 && batchSize % samples !== 0) samples -= 1;
  return samples;
}

/** Maximum bytes of a chunk: the part of a large sample in one message. */
export const CHUNK_BYTES = ROOM - SAMPLE_HEADER_BYTES;

/** Returns the number of messages of one sample. */
export const chunksPerSample = (sampleBytes: number): number =>
  Math.max(1, Math.ceil(sampleBytes / CHUNK_BYTES));

/** Number of shards of an edge with samples of several messages, and so its maximum number of consuming trainers. */
export const MAX_SHARDS = 8;

/**
 * Returns the number of shards of an edge. The server distributes single messages, so trainers can share one durable
 * consumer only if a message holds whole samples. All messages of a larger sample go to the subject of one shard, which
 * has its own consumer and one reading trainer.
 */
export const shardsOf = (sampleBytes: number): number =>
  samplesPerMessage(sampleBytes) > 0 ? 1 : MAX_SHARDS;

const chunked = (sampleBytes: number): boolean => samplesPerMessage(sampleBytes) === 0;

/** Returns the number of messages of a batch. */
export const messagesPerBatch = (
  edge: Omit<EdgeSize, 'depth'>,
  batchSize: number,
  shared = false,
): number =>
  chunked(edge.sampleBytes)
    ? batchSize * chunksPerSample(edge.sampleBytes)
    : Math.ceil(batchSize / samplesPerFrame(edge, batchSize, shared));

/** Returns the number of messages that the stream of an edge holds: at least 2, so that a message is not replaced while it is read. */
export const messagesHeld = (edge: EdgeSize, batchSize: number, shared = false): number =>
  Math.max(
    2,
    chunked(edge.sampleBytes)
      ? edge.depth * chunksPerSample(edge.sampleBytes)
      : Math.ceil(edge.depth / batchSize) * messagesPerBatch(edge, batchSize, shared),
  );
