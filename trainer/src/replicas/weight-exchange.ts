import { type RunId, stateStream, weightsSubject } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import { LastMessages } from './last-messages.ts';
import { encodeParts, joinParts, partsOf, readHeader, type Snapshot } from './snapshot.ts';

/**
 * Exchange of the newest weights between the trainers of a module. No trainer waits: missing weights are left out.
 */

/** Milliseconds after which a snapshot's author counts as gone, unless the reader itself is slower. */
export const LIVE = 60_000;

export interface WeightExchangeOptions {
  run: RunId;
  module: string;
  replica: number;
  /** Number of weights of a snapshot. */
  weights: number;
}

export class WeightExchange {
  readonly #options: WeightExchangeOptions;
  readonly #messages: LastMessages;
  readonly #author = crypto.getRandomValues(new Uint32Array(1))[0] as number;
  /** Sequence number of the last snapshot read, by replica. */
  readonly #seen = new Map<number, number>();

  constructor(connection: NatsConnection, options: WeightExchangeOptions) {
    this.#options = options;
    this.#messages = new LastMessages(connection, stateStream(options.run));
  }

  /** Publishes the weights of this replica. Throws if the server or the stream is missing. */
  async publish(step: number, weights: Float32Array<ArrayBuffer>): Promise<void> {
    const parts = encodeParts({ author: this.#author, step, madeAt: Date.now(), weights });
    for (const [part, message] of parts.entries()) {
      const sequence = await this.#messages.write(
        this.#subject(this.#options.replica, part),
        message,
      );
      // A new stream, as after a restart of the server, counts from 1.
      for (const [replica, seen] of this.#seen) if (seen > sequence) this.#seen.delete(replica);
    }
  }

  /**
   * Returns new snapshots of the other `replicas` that are at most `maxAge` milliseconds old.
   * Throws if the server or the stream is missing.
   */
  async fresh(replicas: number, maxAge = LIVE): Promise<Snapshot[]> {
    const others = Array.from({ length: replicas }, (_, replica) => replica).filter(
      (replica) => replica !== this.#options.replica,
    );
    const found: Snapshot[] = [];
    for (const replica of others) {
      const snapshot = await this.#read(replica, maxAge);
      if (snapshot) found.push(snapshot);
    }
    return found;
  }

  /** Reads the snapshot of a replica; null if it is not new, too old, or being replaced. */
  async #read(replica: number, maxAge: number): Promise<Snapshot | null> {
    const { weights } = this.#options;
    const first = await this.#messages.read(this.#subject(replica, 0), this.#seen.get(replica));
    const header = first && readHeader(first.data, weights);
    if (!first || !header || Date.now() - header.madeAt > maxAge) return null;
    const messages = [first.data];
    for (let part = 1; part < partsOf(weights); part += 1) {
      const next = await this.#messages.read(this.#subject(replica, part));
      if (next === null) return null;
      messages.push(next.data);
    }
    const snapshot = joinParts(messages, weights);
    if (snapshot) this.#seen.set(replica, first.sequence);
    return snapshot;
  }

  #subject(replica: number, part: number): string {
    const { run, module } = this.#options;
    return weightsSubject(run, module, replica, part);
  }
}
