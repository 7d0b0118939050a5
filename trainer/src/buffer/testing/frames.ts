import type { Assembled } from '../assembler.ts';
import {
  eachFrame,
  type Frame,
  openFrameHeader,
  parseFrame,
  type Sample,
  type SentFrame,
  sealFrameHeader,
} from '../frame.ts';

/** Returns bytes that depend on their sample and place. */
export function pattern(id: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 1) bytes[i] = id * 31 + i * 7 + (i >> 8);
  return bytes;
}

/** Producer step and time of all test samples. */
export const MADE = { producerStep: 30, madeAt: 1_700_000_000_000.25 };

export const sample = (id: number, size: number): Sample => ({
  id,
  label: (id % 11) - 1,
  ...MADE,
  bytes: pattern(id, size),
});

export const rowsOf = (samples: readonly Sample[]) => ({
  ids: Float64Array.from(samples, ({ id }) => id),
  labels: Int32Array.from(samples, ({ label }) => label),
  ...MADE,
  bytes: new Uint8Array(Buffer.concat(samples.map(({ bytes }) => bytes))),
});

export const framesOf = (
  samples: readonly Sample[],
  producer: number,
  first: number,
): SentFrame[] => {
  let group = first;
  return Array.from(eachFrame(rowsOf(samples), producer, () => group++));
};

/** Reads a sealed header and a payload as a frame. */
export const read = (header: string, payload: Uint8Array, size: number, place = ''): Frame =>
  parseFrame(openFrameHeader([header], place), payload, size);

export const reread = ({ record, payload }: SentFrame, size: number): Frame =>
  read(sealFrameHeader(record), payload, size);

export const joined = ({ parts, ...sample }: Assembled): Sample => ({
  ...sample,
  bytes: new Uint8Array(Buffer.concat(parts)),
});
