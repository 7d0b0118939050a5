import type { Frame, Sample } from './frame.ts';

/** Chunk groups of a shard that may be open at once; with more, the oldest is taken for lost. */
const MAX_OPEN = 16;
/** Messages whose repetition is still recognised. */
const REMEMBERED = 4096;

/** A sample as it came: the parts of its bytes, in order, are views into their messages. */
export interface Assembled extends Omit<Sample, 'bytes'> {
  parts: readonly Uint8Array[];
}

interface Group {
  sample: Omit<Sample, 'bytes'>;
  /** By number of the chunk. */
  parts: (Uint8Array | null)[];
  missing: number;
}

/**
 * Puts samples together from frames in any order and from any number of producers. A sample comes out
 * once and whole, or not at all: a group that lost a chunk is dropped and counted when others overtake it.
 */
export class Assembler {
  /** Samples of which a part came and the rest did not. */
  incomplete = 0;
  /** Messages that came again. */
  repeated = 0;
  readonly #maxOpen: number;
  readonly #onIncomplete: (key: string) => void;
  readonly #open = new Map<string, Group>();
  readonly #done = new Set<string>();

  /** `onIncomplete` gets the key of each group that is given up. */
  constructor(maxOpen = MAX_OPEN, onIncomplete: (key: string) => void = () => {}) {
    this.#maxOpen = maxOpen;
    this.#onIncomplete = onIncomplete;
  }

  /** What a frame has in common with the others of its group. */
  static keyOf({ producer, group }: Pick<Frame, 'producer' | 'group'>): string {
    return `${producer}:${group}`;
  }

  /** Forgets what has come of a group: its messages were handed back and may come again. */
  forget(key: string): void {
    this.#open.delete(key);
  }

  /** The samples that `frame` completes. */
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
    this.#remember(oldest); // a late chunk must not open it again
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
