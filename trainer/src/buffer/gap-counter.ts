import { chunksPerSample } from '@greedy-infomax/crds/frame-limits';
import type { DeliveryInfo } from '@nats-io/jetstream';
import type { Frame } from './frame.ts';

/** Counts the samples that a ring discarded before any trainer came to them, from gaps in numbers. */
export class GapCounter {
  readonly #shards: number;
  #readers = 1;
  #samples = 0;
  /** The last message's numbers in the stream and among those that the consumer gave out. */
  #last: { stream: number; delivered: number } | null = null;
  /** Several shards: the newest group that came, by producer and shard. */
  readonly #groups = new Map<string, number>();

  constructor(shards: number) {
    this.#shards = shards;
  }

  get samples(): number {
    return Math.round(this.#samples);
  }

  share(readers: number): void {
    this.#readers = readers;
    this.#groups.clear(); // groups are dealt anew
  }

  note({ info }: { info: DeliveryInfo }, frame: Frame, sampleBytes: number): void {
    if (this.#shards === 1) {
      this.#noteMessage(info, frame.samples.length / chunksPerSample(sampleBytes));
    } else this.#noteGroup(frame);
  }

  /**
   * All trainers pull from one consumer. What it gave out to none of them is the same gap to each, so each
   * counts its part.
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

  /** A producer deals its groups to as many shards as have a reader, one after another. */
  #noteGroup({ producer, group }: Frame): void {
    const dealt = Math.min(this.#readers, this.#shards);
    const key = `${producer}:${group % dealt}`;
    const last = this.#groups.get(key);
    if (last === undefined || group > last) {
      if (last !== undefined) this.#samples += (group - last) / dealt - 1;
      this.#groups.set(key, group);
    }
  }
}
