import type { JsMsg } from '@nats-io/jetstream';

/** Methods of a JetStream message that answer the server. */
export type Answers = Pick<JsMsg, 'ack' | 'nak' | 'working'>;

/** Wrong order of calls on a lease: a bug of the caller. */
export class LeaseError extends Error {
  override readonly name = 'LeaseError';
}

/**
 * The only owner of a message and of the memory of its payload.
 *
 * The client decodes the reply subject from the message's own memory, so the server must get its answer before the memory
 * is released. Any other order throws a `LeaseError`.
 */
export class Lease {
  readonly #message: Answers;
  readonly #payload: Uint8Array;
  readonly #free: (answered: 'ack' | 'nak') => void;
  #answered: 'ack' | 'nak' | null = null;
  #released = false;

  /** `free` returns the memory; it is called once, with the answer that was sent to the server. */
  constructor(message: Answers, payload: Uint8Array, free: (answered: 'ack' | 'nak') => void) {
    this.#message = message;
    this.#payload = payload;
    this.#free = free;
  }

  /** Payload; all views of it are valid until `release()`. */
  get payload(): Uint8Array {
    this.checkHeld();
    return this.#payload;
  }

  /** Reports whether the final answer was sent to the server. */
  get answered(): boolean {
    return this.#answered !== null;
  }

  /** Acknowledges the message. Does nothing after another answer. */
  ack(): void {
    this.#answer('ack');
  }

  /** Hands the message back to the server, for any consumer. Does nothing after another answer. */
  nak(): void {
    this.#answer('nak');
  }

  /** Extends the server's wait for an answer while the message is in use. */
  working(): void {
    this.checkHeld();
    if (this.#answered === null) this.#message.working();
  }

  /** Returns the memory, so that the next message can be read into it. Later calls do nothing. */
  release(): void {
    if (this.#answered === null) {
      throw new LeaseError('message was released before its answer was sent to the server');
    }
    if (this.#released) return;
    this.#released = true;
    this.#free(this.#answered);
  }

  #answer(answer: 'ack' | 'nak'): void {
    if (this.#answered !== null) return;
    this.checkHeld();
    this.#answered = answer;
    this.#message[answer]();
  }

  /** Throws a `LeaseError` after the release. */
  checkHeld(): void {
    if (this.#released) throw new LeaseError('message was used after its release');
  }
}
