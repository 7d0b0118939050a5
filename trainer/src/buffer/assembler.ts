import type { Frame, Sample } from './frame.ts';

/** Maximum number of incomplete chunk groups; with more, the oldest is given up as lost. */
const MAX_OPEN = 16;
/** Number of recent groups whose repetition is recognised. */
const REMEMBERED = 4096;

/** A whole sample. The parts of its bytes, in order, are views into their messages. */
export interface Assembled extends Omit<Sample, 'bytes'> {
  parts: readonly Uint8Array[];
}

interface Group {
  sample: Omit<Sample, 'bytes'>;
  /** Bytes of each chunk; null for a missing one. */
  parts: (Uint8Array | null)[];
  missing: number;
}

/**
 * Assembles samples from frames in any order and from any number of producers. Returns each sample once and whole, or
 * never: a group that lost a chunk is dropped and counted once newer groups overtake it.
 */
export class Assembler {
  /** Number of samples that lost a chunk. */
  incomplete = 0;
  /** Number of messages that were received again. */
  repeated = 0;
  readonly #maxOpen: number;
  readonly #onIncomplete: (key: string) => void;
  readonly #open = new Map<string, Group>();
  readonly #done = new Set<string>();

  /** `onIncomplete` is called with the key of each group that is given up. */
  constructor(maxOpen = MAX_OPEN, onIncomplete: (key: string) => void = () => {}) {
    this.#maxOpen = maxOpen;
    this.#onIncomplete = onIncomplete;
  }

  /** Returns the key of the frame's group, which all chunks of a sample share. */
  static keyOf({ producer, group }: Pick<Frame, 'producer' | 'group'>): string {
    return `${producer}:${group}`;
  }

  /** Forgets the chunks of a group whose messages were handed back and may be delivered again. */
  forget(key: string): void {
    this.#open.delete(key);
  }

  /** Adds a frame and returns the samples that it completes. */
  add(frame: Frame): Assembled[] {
    const key = Assembler.keyOf(frame);
    if (this.#done.has(key)) {
      this.repeated += 1;
      return [];
    }
    if (frame.chunks === 1) {
      this.#remember(key);
      return frame.samples.map(({ bytes, ...sample }) => ({ ...sample, parts: [bytes] }));
    }
    return this.#addChunk(key, frame);
  }

  #addChunk(key: string, frame: Frame): Assembled[] {
    const [{ bytes, ...sample }] = frame.samples as [Sample];
    let group = this.#open.get(key);
    if (group === undefined) {
      group = { sample, parts: Array(frame.chunks).fill(null), missing: frame.chunks };
      this.#open.set(key, group);
      if (this.#open.size > this.#maxOpen) this.#expire();
    }
    if (group.parts[frame.chunk] !== null) {
      this.repeated += 1;
      return [];
    }
    group.parts[frame.chunk] = bytes;
    group.missing -= 1;
    if (group.missing > 0) return [];
    this.#open.delete(key);
    this.#remember(key);
    return [{ ...group.sample, parts: group.parts as Uint8Array[] }];
  }

  #expire(): void {
    const [oldest] = this.#open.keys();
    if (oldest === undefined) return;
    this.#open.delete(oldest);
    this.#remember(oldest); // a late chunk must not start the group again
    this.incomplete += 1;
    this.#onIncomplete(oldest);
  }

  #remember(key: string): void {
    this.#done.add(key);
    if (this.#done.size <= REMEMBERED) return;
    const [oldest] = this.#done;
    if (oldest !== undefined) this.#done.delete(oldest);
  }
}
