import { type RunId, stateStream, weightsSubject } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import { LastMessages } from './last-messages.ts';
import { encodeParts, joinParts, partsOf, readHeader, type Snapshot } from './snapshot.ts';

/**
 * Where the trainers of a module leave their newest weights for one another. Nobody waits for anybody: what is
 * there is read, what is not is done without.
 */

/** Milliseconds after which a snapshot's author counts as gone, unless the reader itself is slower. */
export const LIVE = 60_000;

export interface WeightExchangeOptions {
  run: RunId;
  module: string;
  replica: number;
  /** Numbers that a snapshot holds. */
  weights: number;
}

export class WeightExchange {
  readonly #options: WeightExchangeOptions;
  readonly #messages: LastMessages;
  readonly #author = crypto.getRandomValues(new Uint32Array(1))[0] as number;
  /** The number, in the stream, of the snapshot of each other replica that was read last. */
  readonly #seen = new Map<number, number>();

  constructor(connection: NatsConnection, options: WeightExchangeOptions) {
    this.#options = options;
    this.#messages = new LastMessages(connection, stateStream(options.run));
  }

  /** Throws when the server or the stream is not there. */
  async publish(step: number, weights: Float32Array<ArrayBuffer>): Promise<void> {
    const parts = encodeParts({ author: this.#author, step, madeAt: Date.now(), weights });
    for (const [part, message] of parts.entries()) {
      const sequence = await this.#messages.write(
        this.#subject(this.#options.replica, part),
        message,
      );
      // A stream that was made anew, as after a restart of the server, counts from 1.
      for (const [replica, seen] of this.#seen) if (seen > sequence) this.#seen.delete(replica);
    }
  }

  /**
   * Snapshots of the other `replicas` that are at most `maxAge` milliseconds old and have not been given before.
   * Throws when the server or the stream is not there.
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

  /** Null if there is none that was not given before, it is too old, or is being replaced at this moment. */
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
