import { crc32 } from 'node:zlib';
import {
  CHUNK_BYTES,
  chunksPerSample,
  MESSAGE_BYTES,
  samplesPerMessage,
} from '@greedy-infomax/crds/frame-limits';
import type { Rows } from './worker-protocol.ts';

/**
 * Format of a message on an edge. The payload holds the bytes of several whole samples, or of one chunk of a large sample,
 * and nothing else, so that it is sent without a copy. A NATS header describes it: a record in base64, a dot, and the
 * CRC-32 in hexadecimal of that text and of the payload's place in shared memory. The checksum detects damage; it does not
 * authenticate the producer. The record is little-endian:
 *
 *     0 magic  4 version, samples (u16)  8 bytes of a sample  12 chunk  16 chunks  20 producer  24 group
 *     sample:  0 id (f64)  8 made at (f64)  16 label (i32)  20 producer's step (u32)
 */
export const FRAME_HEADER = 'Gim-Frame';

const MAGIC = 0x314d4947; // 'GIM1'
const VERSION = 3;
/** Bytes of the record before base64: fixed fields, and fields of each sample. */
const HEAD = 28;
const HEAD_OF_SAMPLE = 24;

/** One encoded sample. */
export interface Sample {
  /** Ordinal of the sample in training order, across epochs. */
  id: number;
  /** Class; -1 without a label. */
  label: number;
  /** Optimizer steps that the producer had made when it computed the sample. */
  producerStep: number;
  /** Milliseconds since the epoch. */
  madeAt: number;
  bytes: Uint8Array;
}

/** Identity of a message on an edge. */
interface About {
  /** Random id of the producing process; a restarted trainer is another producer. */
  producer: number;
  /** Number of the producer's message or chunk group, from 0. */
  group: number;
  /** Index of the chunk in its sample; 0 for whole samples. */
  chunk: number;
  /** Number of chunks of a sample; 1 for whole samples. */
  chunks: number;
}

/** A received message. */
export interface Frame extends About {
  /** Views into the message. */
  samples: Sample[];
}

/** A frame to be published. */
export interface SentFrame {
  /** Record in base64; `sealFrameHeader` turns it into the value of the header `FRAME_HEADER`. */
  record: string;
  payload: Uint8Array;
}

/** A frame cut from rows; its payload is a view of them. */
export interface CutFrame extends SentFrame, About {
  /** Samples of the frame, or the one sample that it is a chunk of. */
  rows: Rows;
}

/** A message that is not a whole, well-formed part of this edge. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/**
 * Cuts rows into messages of `perMessage` samples; 0 cuts each sample into chunks. Default: as many samples as fit into a
 * message of the server. Calls `group` for the number of each message or chunk group.
 */
export function* eachFrame(
  rows: Rows,
  producer: number,
  group: () => number,
  perMessage = samplesPerMessage(sizeOf(rows)),
): Generator<CutFrame, void> {
  const count = rows.ids.length;
  const size = sizeOf(rows);
  const chunks = perMessage > 0 ? 1 : chunksPerSample(size);
  const together = Math.max(1, perMessage);
  for (let start = 0; start < count; start += together) {
    const part = cut(rows, start, Math.min(start + together, count));
    const about = { producer, group: group(), chunks };
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      const { bytes } = part;
      yield {
        ...about,
        chunk,
        record: recordOf(part, { ...about, chunk }),
        payload:
          chunks > 1 ? bytes.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES) : bytes,
        rows: part,
      };
    }
  }
}

/** Returns a view of the rows from `start` up to, but not including, `end`. */
function cut(rows: Rows, start: number, end: number): Rows {
  const size = sizeOf(rows);
  return {
    ...rows,
    ids: rows.ids.subarray(start, end),
    labels: rows.labels.subarray(start, end),
    bytes: rows.bytes.subarray(start * size, end * size),
  };
}

/**
 * Returns the value of the header `FRAME_HEADER`: the record and its checksum. `place`: value of the header with the
 * payload's place in shared memory; empty for a payload in the message.
 */
export const sealFrameHeader = (record: string, place = ''): string =>
  `${record}.${checksum(record, place)}`;

/** Returns the CRC-32 in eight hexadecimal digits. */
const checksum = (record: string, place: string): string =>
  crc32(place, crc32(record)).toString(16).padStart(8, '0');

/**
 * Returns the record of a message from all values of its header `FRAME_HEADER`. `place`: see `sealFrameHeader`.
 * @throws FrameError for another version or a damaged header
 */
export function openFrameHeader(values: readonly string[], place = ''): Buffer {
  const fail = (why: string): never => {
    throw new FrameError(`header ${FRAME_HEADER}: ${why}`);
  };
  const [value = ''] = values;
  if (values.length !== 1) fail(`${values.length} values, not 1`);
  const [record = '', sum = ''] = value.split('.', 2);
  const head = Buffer.from(record, 'base64');
  if (head.length < HEAD) fail('cut short');
  if (head.readUInt32LE(0) !== MAGIC) fail('not an activation message');
  const version = head.readUInt16LE(4);
  if (version !== VERSION) {
    fail(
      `version ${version}, this trainer reads version ${VERSION}; run all trainers of a run from one image`,
    );
  }
  if (value !== `${record}.${sum}` || sum !== checksum(record, place)) fail('wrong checksum');
  return head;
}

/**
 * Reads a message of an edge whose samples have `sampleBytes` bytes, with a payload of at most `longest` bytes. `head`:
 * result of `openFrameHeader`.
 * @throws FrameError if the message does not belong to such an edge
 */
export function parseFrame(
  head: Buffer,
  payload: Uint8Array,
  sampleBytes: number,
  longest = MESSAGE_BYTES,
): Frame {
  const fail = (why: string): never => {
    throw new FrameError(`message of ${payload.length} bytes: ${why}`);
  };
  if (payload.length > longest) fail(`longer than ${longest}`);
  const count = head.readUInt16LE(6);
  const size = head.readUInt32LE(8);
  if (size !== sampleBytes) fail(`samples of ${size} bytes, not ${sampleBytes}`);
  const chunk = head.readUInt32LE(12);
  const chunks = head.readUInt32LE(16);
  if (chunks !== chunksPerSample(sampleBytes)) fail(`${chunks} chunks a sample`);
  if (chunk >= chunks) fail(`chunk ${chunk} of ${chunks}`);
  if (count < 1 || (chunks > 1 && count !== 1)) fail(`${count} samples`);
  if (head.length !== HEAD + count * HEAD_OF_SAMPLE) fail(`its header is not of ${count} samples`);
  const partBytes = chunks === 1 ? size : Math.min(CHUNK_BYTES, size - chunk * CHUNK_BYTES);
  if (payload.length !== count * partBytes) fail(`${count} samples need ${count * partBytes}`);
  const samples = Array.from({ length: count }, (_, i) => {
    const at = HEAD + i * HEAD_OF_SAMPLE;
    const id = head.readDoubleLE(at);
    const madeAt = head.readDoubleLE(at + 8);
    if (!Number.isSafeInteger(id) || id < 0) fail(`sample id ${id}`);
    if (!Number.isFinite(madeAt)) fail(`time ${madeAt}`);
    return {
      id,
      madeAt,
      label: head.readInt32LE(at + 16),
      producerStep: head.readUInt32LE(at + 20),
      bytes: payload.subarray(i * partBytes, (i + 1) * partBytes),
    };
  });
  return {
    producer: head.readUInt32LE(20),
    group: head.readUInt32LE(24),
    chunk,
    chunks,
    samples,
  };
}

function recordOf(rows: Rows, { producer, group, chunk, chunks }: About): string {
  const count = rows.ids.length;
  const head = Buffer.alloc(HEAD + count * HEAD_OF_SAMPLE);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt16LE(VERSION, 4);
  head.writeUInt16LE(count, 6);
  head.writeUInt32LE(sizeOf(rows), 8);
  head.writeUInt32LE(chunk, 12);
  head.writeUInt32LE(chunks, 16);
  head.writeUInt32LE(producer, 20);
  head.writeUInt32LE(group >>> 0, 24);
  for (let i = 0, at = HEAD; i < count; i += 1, at += HEAD_OF_SAMPLE) {
    head.writeDoubleLE(rows.ids[i] as number, at);
    head.writeDoubleLE(rows.madeAt, at + 8);
    head.writeInt32LE(rows.labels[i] as number, at + 16);
    head.writeUInt32LE(rows.producerStep, at + 20);
  }
  return head.toString('base64');
}

/** Returns the bytes of a sample. */
const sizeOf = ({ bytes, ids }: Rows): number => bytes.length / Math.max(1, ids.length);
