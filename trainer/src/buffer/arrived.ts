import type { Assembled } from './assembler.ts';
import type { Lease } from './lease.ts';

/** Samples at the consuming end of an edge, and the batches that are made of them. */

/** Where samples came from, and how many of them may still be used. */
export interface Origin {
  /** Owners of the memory that the samples lie in; they end once the last sample has left. */
  leases: readonly Lease[];
  /** Samples that came in them. */
  samples: number;
  outstanding: number;
}

/** A sample with the messages that it came in. */
export interface Arrived extends Assembled {
  producer: number;
  origin: Origin;
}

/** `samples` in the order of their message if they are all that came in one; null for others. */
export function allOfOneMessage(samples: readonly Arrived[]): Arrived[] | null {
  const [first] = samples;
  const { origin } = first ?? {};
  if (!origin || origin.samples !== samples.length) return null;
  if (samples.some((sample) => sample.origin !== origin || sample.parts.length > 1)) return null;
  const placeOf = ({ parts: [part] }: Arrived) => part?.byteOffset ?? 0;
  return samples.toSorted((a, b) => placeOf(a) - placeOf(b));
}

/** Copies the samples, one after another. Throws a `LeaseError` if the memory of one was released. */
export function copyRows(samples: readonly Arrived[], into: Buffer): void {
  let at = 0;
  for (const { parts, origin } of samples) {
    for (const lease of origin.leases) lease.checkHeld();
    for (const part of parts) {
      // A part of a buffer is copied by the system's memmove. All of one would be by set(), which goes word by word
      // to memory that threads share, and byte by byte where the two begin differently.
      const end = part.byteOffset + part.length;
      at += Buffer.from(part.buffer).copy(into, at, part.byteOffset, end);
    }
  }
}
