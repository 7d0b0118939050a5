/**
 * How samples are put into messages; the plan sizes streams by it, the trainers build messages by it.
 * A message stays below the 1 MiB that an unconfigured NATS server takes, headers included.
 */

export const MESSAGE_BYTES = 1_032_192; // 1 MiB - 16 KiB
/** In front of every message. */
export const FRAME_HEADER_BYTES = 32;
/** In front of every sample, or of its part, in a message. */
export const SAMPLE_HEADER_BYTES = 24;

const ROOM = MESSAGE_BYTES - FRAME_HEADER_BYTES;

/** Whole samples that fit into one message; 0 if one alone does not. */
export const samplesPerMessage = (sampleBytes: number): number =>
  Math.floor(ROOM / (SAMPLE_HEADER_BYTES + sampleBytes));

/** Bytes of a sample that one message carries when a sample is cut into chunks. */
export const CHUNK_BYTES = ROOM - SAMPLE_HEADER_BYTES;

/** Messages that one sample takes. */
export const chunksPerSample = (sampleBytes: number): number =>
  Math.max(1, Math.ceil(sampleBytes / CHUNK_BYTES));
