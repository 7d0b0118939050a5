import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/** The run's stream of state: the last message of each subject, to be read and replaced. */

export interface LastMessage {
  data: Uint8Array;
  /** Number in the stream; tells it from every other message. */
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
   * The last message on `subject`, or null; null too if its number is not above `after`, which costs next to nothing
   * however large it is. Throws when the server or the stream is not there.
   */
  async read(subject: string, after = 0): Promise<LastMessage | null> {
    const { direct } = await this.#manager;
    // There is one at most.
    const query =
      after === 0 ? { last_by_subj: subject } : { next_by_subj: subject, seq: after + 1 };
    const message = await direct.getMessage(this.#stream, query);
    return message && { data: message.data, sequence: message.seq };
  }

  /** Resolves with the number of the message. Throws when the server or the stream is not there. */
  async write(subject: string, data: Uint8Array): Promise<number> {
    return (await this.#js.publish(subject, data)).seq;
  }

  /**
   * Replaces the message with the number `sequence`, 0 for none. Resolves with the number of the new one, or null
   * if another is there meanwhile. Throws when the server or the stream is not there.
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
