import type { Edge, ModuleConfig } from '@greedy-infomax/crds';
import { openSink, type Sink } from '../buffer/edge.ts';
import type { NatsAccess } from '../nats/connect.ts';
import type { InputBatch } from './input.ts';

/** Milliseconds that the last activations may take to be taken; longer where each counts. */
const FLUSH_WITHIN = { dropOldest: 2000, block: 10_000 };

/** What a module gives the next one. */
export class Output {
  readonly #edge: Edge;
  readonly #sink: Sink;

  /** Null where no module comes next. */
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

  /** Sends the encoded activations of a batch; their memory goes with them. Waits as `Sink.put` does. */
  send(
    { ids, labels }: InputBatch,
    activations: Uint8Array,
    producerStep: number,
    signal: AbortSignal,
  ): Promise<void> {
    const rows = { bytes: activations, ids, labels, producerStep, madeAt: Date.now() };
    return this.#sink.put(rows, signal);
  }

  /** Whether half of what the edge holds waits for the next module. */
  async isAhead(): Promise<boolean> {
    const pending = await this.#sink.pending();
    return pending !== null && pending >= this.#edge.depth / 2;
  }

  /** Tells how many trainers read the edge. */
  share(readers: number): void {
    this.#sink.share(readers);
  }

  /** What was sent is worth a wait, but not for a server that is gone. */
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
