import {
  CHUNK_BYTES,
  chunksPerSample,
  FRAME_HEADER_BYTES,
  MESSAGE_BYTES,
  SAMPLE_HEADER_BYTES,
  samplesPerMessage,
} from '@greedy-infomax/crds/frame-limits';

/**
 * What a message on an edge looks like: a header, then either several whole samples or one chunk of a
 * large one, each behind a header of its own. Numbers are little-endian.
 *
 *     0 magic  4 version, samples (u16)  8 bytes of a sample  12 chunk  16 chunks  20 producer  24 group  28 unused
 *     sample:  0 id (f64)  8 made at (f64)  16 label (i32)  20 producer's step (u32)
 */

const MAGIC = 0x314d4947; // 'GIM1'
const VERSION = 1;

/** One encoded sample. */
export interface Sample {
  /** Number of the image in the order of training, across epochs. */
  id: number;
  /** Class, or -1. */
  label: number;
  /** Optimizer steps that the producer had made when it computed the sample. */
  producerStep: number;
  /** Milliseconds since the epoch. */
  madeAt: number;
  bytes: Uint8Array;
}

/** One message: `chunks` is 1 for whole samples. */
export interface Frame {
  /** Tells processes apart; another start of the same module is another producer. */
  producer: number;
  /** Counts a producer's messages, or its groups of chunks, from 0. */
  group: number;
  chunk: number;
  chunks: number;
  /** Views into the message. */
  samples: Sample[];
}

/** A message that is not a whole, well-formed part of this edge. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/**
 * Cuts samples of equal size into messages of `perMessage` samples, one when it is asked for. `group` numbers the
 * first; each message or chunk group takes one. `allocate` gives the memory of a message.
 */
export function* eachFrame(
  samples: readonly Sample[],
  producer: number,
  group: number,
  perMessage = samplesPerMessage(samples[0]?.bytes.length ?? 0),
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Generator<Uint8Array, void> {
  if (perMessage === 0) {
    for (const [i, sample] of samples.entries()) {
      yield* chunksOf(sample, producer, group + i, allocate);
    }
    return;
  }
  const size = samples[0]?.bytes.length ?? 0;
  const stride = SAMPLE_HEADER_BYTES + size;
  for (let start = 0; start < samples.length; start += perMessage) {
    const part = samples.slice(start, start + perMessage);
    const frame = allocate(FRAME_HEADER_BYTES + part.length * stride);
    const header = { producer, group: group + start / perMessage, chunk: 0, chunks: 1 };
    writeHeader(frame, header, part.length, size);
    for (const [i, sample] of part.entries()) {
      writeSample(frame, FRAME_HEADER_BYTES + i * stride, sample, sample.bytes);
    }
    yield frame;
  }
}

/** All of them at once. */
export const framesOf = (
  ...[samples, producer, group]: Parameters<typeof eachFrame>
): Uint8Array[] => Array.from(eachFrame(samples, producer, group));

function* chunksOf(
  sample: Sample,
  producer: number,
  group: number,
  allocate: (bytes: number) => Uint8Array,
): Generator<Uint8Array, void> {
  const chunks = chunksPerSample(sample.bytes.length);
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const part = sample.bytes.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES);
    const frame = allocate(FRAME_HEADER_BYTES + SAMPLE_HEADER_BYTES + part.length);
    writeHeader(frame, { producer, group, chunk, chunks }, 1, sample.bytes.length);
    writeSample(frame, FRAME_HEADER_BYTES, sample, part);
    yield frame;
  }
}

/** Reads a message for an edge whose samples have `sampleBytes` bytes. Throws a `FrameError` for any other. */
export function parseFrame(message: Uint8Array, sampleBytes: number): Frame {
  const fail = (why: string): never => {
    throw new FrameError(`message of ${message.length} bytes: ${why}`);
  };
  if (message.length < FRAME_HEADER_BYTES) fail('shorter than its header');
  if (message.length > MESSAGE_BYTES) fail(`longer than ${MESSAGE_BYTES}`);
  const view = viewOf(message);
  if (view.getUint32(0, true) !== MAGIC) fail('not an activation message');
  if (view.getUint16(4, true) !== VERSION)
    fail(`version ${view.getUint16(4, true)}, not ${VERSION}`);
  const count = view.getUint16(6, true);
  const size = view.getUint32(8, true);
  if (size !== sampleBytes) fail(`samples of ${size} bytes, not ${sampleBytes}`);
  const chunk = view.getUint32(12, true);
  const chunks = view.getUint32(16, true);
  if (chunks !== chunksPerSample(sampleBytes)) fail(`${chunks} chunks a sample`);
  if (chunk >= chunks) fail(`chunk ${chunk} of ${chunks}`);
  if (count < 1 || (chunks > 1 && count !== 1)) fail(`${count} samples`);
  const partBytes = chunks === 1 ? size : Math.min(CHUNK_BYTES, size - chunk * CHUNK_BYTES);
  const stride = SAMPLE_HEADER_BYTES + partBytes;
  if (message.length !== FRAME_HEADER_BYTES + count * stride) {
    fail(`${count} samples need ${FRAME_HEADER_BYTES + count * stride}`);
  }
  const samples = Array.from({ length: count }, (_, i) => {
    const at = FRAME_HEADER_BYTES + i * stride;
    const id = view.getFloat64(at, true);
    const madeAt = view.getFloat64(at + 8, true);
    if (!Number.isSafeInteger(id) || id < 0) fail(`sample id ${id}`);
    if (!Number.isFinite(madeAt)) fail(`time ${madeAt}`);
    return {
      id,
      madeAt,
      label: view.getInt32(at + 16, true),
      producerStep: view.getUint32(at + 20, true),
      bytes: message.subarray(at + SAMPLE_HEADER_BYTES, at + stride),
    };
  });
  return {
    producer: view.getUint32(20, true),
    group: view.getUint32(24, true),
    chunk,
    chunks,
    samples,
  };
}

function writeHeader(
  frame: Uint8Array,
  { producer, group, chunk, chunks }: Omit<Frame, 'samples'>,
  count: number,
  sampleBytes: number,
): void {
  const view = viewOf(frame);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, VERSION, true);
  view.setUint16(6, count, true);
  view.setUint32(8, sampleBytes, true);
  view.setUint32(12, chunk, true);
  view.setUint32(16, chunks, true);
  view.setUint32(20, producer, true);
  view.setUint32(24, group >>> 0, true);
}

function writeSample(frame: Uint8Array, at: number, sample: Sample, part: Uint8Array): void {
  const view = viewOf(frame);
  view.setFloat64(at, sample.id, true);
  view.setFloat64(at + 8, sample.madeAt, true);
  view.setInt32(at + 16, sample.label, true);
  view.setUint32(at + 20, sample.producerStep, true);
  frame.set(part, at + SAMPLE_HEADER_BYTES);
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
