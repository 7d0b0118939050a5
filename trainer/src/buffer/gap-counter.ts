import { chunksPerSample } from '@greedy-infomax/crds/frame-limits';
import type { DeliveryInfo } from '@nats-io/jetstream';
import type { Frame } from './frame.ts';

/** Counts samples that a stream with `dropOldest` discarded before any trainer read them, from gaps in numbers. */
export class GapCounter {
  readonly #shards: number;
  #readers = 1;
  #samples = 0;
  /** Sequence numbers of the last message: in the stream, and among the consumer's deliveries. */
  #last: { stream: number; delivered: number } | null = null;
  /** With several shards: newest group by producer and shard. */
  readonly #groups = new Map<string, number>();

  constructor(shards: number) {
    this.#shards = shards;
  }

  /** Number of discarded samples, without those that other trainers count. */
  get samples(): number {
    return Math.round(this.#samples);
  }

  /** Sets the number of trainers that read the edge. */
  share(readers: number): void {
    this.#readers = readers;
    this.#groups.clear(); // producers assign groups to shards anew
  }

  /** Counts the gap before a received message. */
  note({ info }: { info: DeliveryInfo }, frame: Frame, sampleBytes: number): void {
    if (this.#shards === 1) {
      this.#noteMessage(info, frame.samples.length / chunksPerSample(sampleBytes));
    } else this.#noteGroup(frame);
  }

  /**
   * Counts a gap with one shard. All trainers pull from one consumer, so each sees the same gap and counts its part.
   */
  #noteMessage(
    { streamSequence, deliverySequence }: DeliveryInfo,
    samplesPerMessage: number,
  ): void {
    const last = this.#last;
    const gap = last ? streamSequence - last.stream - (deliverySequence - last.delivered) : 0;
    if (gap > 0) this.#samples += (gap * samplesPerMessage) / this.#readers;
    this.#last = { stream: streamSequence, delivered: deliverySequence };
  }

  /** Counts a gap with several shards. A producer assigns its groups round-robin to the shards that have a reader. */
  #noteGroup({ producer, group }: Frame): void {
    const used = Math.min(this.#readers, this.#shards);
    const key = `${producer}:${group % used}`;
    const last = this.#groups.get(key);
    if (last === undefined || group > last) {
      if (last !== undefined) this.#samples += (group - last) / used - 1;
      this.#groups.set(key, group);
    }
  }
}
