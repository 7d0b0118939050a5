import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/** The run's stream of state: reads and replaces the last message of each subject. */

export interface LastMessage {
  data: Uint8Array;
  /** Sequence number in the stream, which identifies the message. */
  sequence: number;
}

/** Milliseconds until a request counts as lost. */
const TIMEOUT = 2000;

export class LastMessages {
  readonly #stream: string;
  readonly #js: JetStreamClient;
  readonly #manager: Promise<JetStreamManager>;

  constructor(connection: NatsConnection, stream: string) {
    this.#stream = stream;
    this.#js = jetstream(connection, { timeout: TIMEOUT });
    this.#manager = jetstreamManager(connection, { checkAPI: false, timeout: TIMEOUT });
  }

  /**
   * Returns the last message on `subject`; null if there is none, or if its number is not above `after`. The check of
   * `after` does not transfer the message. Throws if the server or the stream is missing.
   */
  async read(subject: string, after = 0): Promise<LastMessage | null> {
    const { direct } = await this.#manager;
    // There is at most one.
    const query =
      after === 0 ? { last_by_subj: subject } : { next_by_subj: subject, seq: after + 1 };
    const message = await direct.getMessage(this.#stream, query);
    return message && { data: message.data, sequence: message.seq };
  }

  /** Writes a message and returns its number. Throws if the server or the stream is missing. */
  async write(subject: string, data: Uint8Array): Promise<number> {
    return (await this.#js.publish(subject, data)).seq;
  }

  /**
   * Replaces the message with the number `sequence`, 0 for none. Returns the new number; null if another message was
   * written meanwhile. Throws if the server or the stream is missing.
   */
  async replace(subject: string, sequence: number, data: Uint8Array): Promise<number | null> {
    try {
      const expect = { lastSubjectSequence: sequence };
      return (await this.#js.publish(subject, data, { expect })).seq;
    } catch (error) {
      if (isWrongSequence(error)) return null;
      throw error;
    }
  }
}

const isWrongSequence = (error: unknown): boolean =>
  error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence;
