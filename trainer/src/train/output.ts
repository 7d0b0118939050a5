import type { Edge, ModuleConfig } from '@greedy-infomax/crds';
import { openSink, type Sink } from '../buffer/edge.ts';
import type { NatsAccess } from '../nats/connect.ts';
import type { InputBatch } from './input.ts';

/** Maximum milliseconds to flush the last activations at the end; longer if none may be lost. */
const FLUSH_WITHIN = { dropOldest: 2000, block: 10_000 };

/** Output of a module: sends activations to the next one. */
export class Output {
  readonly #edge: Edge;
  readonly #sink: Sink;

  /** Opens the output of a module; null if no module reads it. */
  static async open(
    { sink: edge, batchSize }: ModuleConfig,
    { nats, shared, clientName }: { nats: NatsAccess; shared?: string; clientName: string },
  ): Promise<Output | null> {
    if (edge === null) return null;
    return new Output(edge, await openSink({ ...nats, shared, edge, batchSize, clientName }));
  }

  private constructor(edge: Edge, sink: Sink) {
    this.#edge = edge;
    this.#sink = sink;
  }

  /** Sends the encoded activations of a batch and transfers their memory. Waits as `Sink.put` does. */
  send(
    { ids, labels }: InputBatch,
    activations: Uint8Array,
    producerStep: number,
    signal: AbortSignal,
  ): Promise<void> {
    const rows = { bytes: activations, ids, labels, producerStep, madeAt: Date.now() };
    return this.#sink.put(rows, signal);
  }

  /** Reports whether at least half of the edge's depth waits for the next module. */
  async isAhead(): Promise<boolean> {
    const pending = await this.#sink.pending();
    return pending !== null && pending >= this.#edge.depth / 2;
  }

  /** Sets the number of trainers that read the edge. */
  share(readers: number): void {
    this.#sink.share(readers);
  }

  /** Closes the output. Waits for the last activations, but not longer than `FLUSH_WITHIN`. */
  async close(): Promise<void> {
    await Promise.race([
      this.#sink.flush(),
      new Promise<void>((resolve) => {
        setTimeout(resolve, FLUSH_WITHIN[this.#edge.whenFull]).unref();
      }),
    ]);
    await this.#sink.close();
  }
}
