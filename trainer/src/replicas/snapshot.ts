import { MESSAGE_BYTES } from '@greedy-infomax/crds';

/**
 * Format of the weights that a trainer publishes for its peers, in parts that fit into messages. Numbers are
 * little-endian.
 *
 *     0 magic  4 part  8 parts  12 weights of the whole  16 author  20 step  24 made at (f64)  32 weights (f32) …
 */

export interface Snapshot {
  /** Random id of the process; a restarted trainer is another author. */
  author: number;
  /** Optimizer steps made. */
  step: number;
  /** Milliseconds since the epoch. */
  madeAt: number;
  /** All weights, one tensor after another. */
  weights: Float32Array<ArrayBuffer>;
}

const MAGIC = 0x31574947; // 'GIW1'
const HEADER_BYTES = 32;
const PART_WEIGHTS = Math.floor((MESSAGE_BYTES - HEADER_BYTES) / 4);

/** Returns the number of parts of a snapshot. */
export const partsOf = (weights: number): number => Math.max(1, Math.ceil(weights / PART_WEIGHTS));

/** Encodes a snapshot as messages, in the order of its parts. */
export function encodeParts({ author, step, madeAt, weights }: Snapshot): Uint8Array[] {
  const parts = partsOf(weights.length);
  return Array.from({ length: parts }, (_, part) => {
    const own = weights.subarray(part * PART_WEIGHTS, (part + 1) * PART_WEIGHTS);
    const message = new Uint8Array(HEADER_BYTES + own.byteLength);
    const view = new DataView(message.buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, part, true);
    view.setUint32(8, parts, true);
    view.setUint32(12, weights.length, true);
    view.setUint32(16, author, true);
    view.setUint32(20, step, true);
    view.setFloat64(24, madeAt, true);
    message.set(new Uint8Array(own.buffer, own.byteOffset, own.byteLength), HEADER_BYTES);
    return message;
  });
}

/** Reads the fields of a snapshot from a part; null if it is not part of a snapshot of `weights` weights. */
export function readHeader(message: Uint8Array, weights: number): Omit<Snapshot, 'weights'> | null {
  if (message.length < HEADER_BYTES) return null;
  const view = viewOf(message);
  const part = view.getUint32(4, true);
  const own = Math.min(PART_WEIGHTS, weights - part * PART_WEIGHTS);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(12, true) !== weights) return null;
  if (view.getUint32(8, true) !== partsOf(weights)) return null;
  if (own < 0 || message.length !== HEADER_BYTES + 4 * own) return null;
  return {
    author: view.getUint32(16, true),
    step: view.getUint32(20, true),
    madeAt: view.getFloat64(24, true),
  };
}

/** Joins parts in their order; null unless they are one snapshot of `weights` finite weights. */
export function joinParts(messages: readonly Uint8Array[], weights: number): Snapshot | null {
  const headers = messages.map((message) => readHeader(message, weights));
  const [first] = headers;
  if (!first || messages.length !== partsOf(weights)) return null;
  const joined = new Uint8Array(4 * weights);
  for (const [part, message] of messages.entries()) {
    const header = headers[part];
    if (header?.author !== first.author || header.madeAt !== first.madeAt) return null;
    if (viewOf(message).getUint32(4, true) !== part) return null;
    joined.set(message.subarray(HEADER_BYTES), part * PART_WEIGHTS * 4);
  }
  const values = new Float32Array(joined.buffer);
  return values.every(Number.isFinite) ? { ...first, weights: values } : null;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
