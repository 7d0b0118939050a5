/**
 * How samples are put into messages; the plan sizes streams by it, the trainers build messages by it.
 * A message stays below the 1 MiB that an unconfigured NATS server takes, headers included.
 */

export const MESSAGE_BYTES = 1_032_192; // 1 MiB - 16 KiB
/** What the header of a message says of all of it, and what of each sample or its part. */
export const FRAME_HEADER_BYTES = 64;
export const SAMPLE_HEADER_BYTES = 32;
/** A server takes headers of up to 64 KiB. */
const MAX_SAMPLES = 1024;

/**
 * What a message may tell of whose body goes through memory of one machine: batches of a few megabytes in one, since a
 * message costs its server and both ends the same whatever it tells of.
 */
export const SHARED_PAYLOAD_BYTES = 4 << 20;

const ROOM = MESSAGE_BYTES - FRAME_HEADER_BYTES;

/** Whole samples that fit into one message; 0 if one alone does not. */
export const samplesPerMessage = (sampleBytes: number): number =>
  Math.min(MAX_SAMPLES, Math.floor(ROOM / (SAMPLE_HEADER_BYTES + sampleBytes)));

/** What sizes an edge. */
interface EdgeSize {
  sampleBytes: number;
  depth: number;
  whenFull: 'dropOldest' | 'block';
}

/**
 * Samples of a batch that go into one message; 0 if one alone does not fit. With `block` each message of a batch
 * holds as many as the next: a batch then uses whole messages, whoever gets which, and none is ever half used.
 * `shared`: bodies go through memory. Samples that a server would get in parts come in the same parts there.
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

/** Bytes of a sample that one message carries when a sample is cut into chunks. */
export const CHUNK_BYTES = ROOM - SAMPLE_HEADER_BYTES;

/** Messages that one sample takes. */
export const chunksPerSample = (sampleBytes: number): number =>
  Math.max(1, Math.ceil(sampleBytes / CHUNK_BYTES));

/** Shares of an edge whose samples take several messages: at most so many trainers can take part. */
export const MAX_SHARDS = 8;

/**
 * Shares that the samples of an edge are dealt to. The server hands out single messages, so trainers may pull
 * from one durable consumer only where a message is whole samples. The messages of a large sample all go to
 * the subject of one share, which has a consumer of its own and is read by one trainer.
 */
export const shardsOf = (sampleBytes: number): number =>
  samplesPerMessage(sampleBytes) > 0 ? 1 : MAX_SHARDS;

const chunked = (sampleBytes: number): boolean => samplesPerMessage(sampleBytes) === 0;

/** Messages that a batch is sent in. */
export const messagesPerBatch = (
  edge: Omit<EdgeSize, 'depth'>,
  batchSize: number,
  shared = false,
): number =>
  chunked(edge.sampleBytes)
    ? batchSize * chunksPerSample(edge.sampleBytes)
    : Math.ceil(batchSize / samplesPerFrame(edge, batchSize, shared));

/** Messages that the stream of an edge holds; two at least, as one alone would be replaced while it is read. */
export const messagesHeld = (edge: EdgeSize, batchSize: number, shared = false): number =>
  Math.max(
    2,
    chunked(edge.sampleBytes)
      ? edge.depth * chunksPerSample(edge.sampleBytes)
      : Math.ceil(edge.depth / batchSize) * messagesPerBatch(edge, batchSize, shared),
  );
