import { CHUNK_BYTES } from '@greedy-infomax/crds';
import type { Frame, Sample } from './frame.ts';

/** Chunk groups that may be open at once; with more, the oldest is taken for lost. */
const MAX_OPEN = 16;
/** Messages whose repetition is still recognised. */
const REMEMBERED = 4096;

interface Group {
  sample: Sample;
  seen: Set<number>;
}

/**
 * Puts samples together from frames in any order and from any number of producers. A sample comes out
 * once and whole, or not at all: a group that lost a chunk is dropped and counted when others overtake it.
 */
export class Assembler {
  /** Samples of which a part came and the rest did not. */
  torn = 0;
  /** Messages that came again. */
  repeated = 0;
  readonly #sampleBytes: number;
  readonly #open = new Map<string, Group>();
  readonly #done = new Set<string>();

  constructor(sampleBytes: number) {
    this.#sampleBytes = sampleBytes;
  }

  /** The samples that `frame` completes. Those of a whole-sample frame are views into its message. */
  add(frame: Frame): Sample[] {
    const key = `${frame.producer}:${frame.group}`;
    if (this.#done.has(key)) {
      this.repeated += 1;
      return [];
    }
    if (frame.chunks === 1) {
      this.#remember(key);
      return frame.samples;
    }
    return this.#addChunk(key, frame);
  }

  #addChunk(key: string, frame: Frame): Sample[] {
    const [part] = frame.samples as [Sample];
    let group = this.#open.get(key);
    if (group === undefined) {
      group = { sample: { ...part, bytes: new Uint8Array(this.#sampleBytes) }, seen: new Set() };
      this.#open.set(key, group);
      if (this.#open.size > MAX_OPEN) this.#expire();
    }
    if (group.seen.has(frame.chunk)) {
      this.repeated += 1;
      return [];
    }
    group.seen.add(frame.chunk);
    group.sample.bytes.set(part.bytes, frame.chunk * CHUNK_BYTES);
    if (group.seen.size < frame.chunks) return [];
    this.#open.delete(key);
    this.#remember(key);
    return [group.sample];
  }

  #expire(): void {
    const [oldest] = this.#open.keys();
    if (oldest === undefined) return;
    this.#open.delete(oldest);
    this.#remember(oldest); // a late chunk must not open it again
    this.torn += 1;
  }

  #remember(key: string): void {
    this.#done.add(key);
    if (this.#done.size <= REMEMBERED) return;
    const [oldest] = this.#done;
    if (oldest !== undefined) this.#done.delete(oldest);
  }
}
