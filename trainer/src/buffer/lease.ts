import type { JsMsg } from '@nats-io/jetstream';

/** The part of a JetStream message that answers the server. */
export type Answers = Pick<JsMsg, 'ack' | 'nak' | 'working'>;

/** A lease was used in the wrong order; the caller has a bug. */
export class LeaseError extends Error {
  override readonly name = 'LeaseError';
}

/**
 * The one owner of a message and of the memory that its payload lies in.
 *
 * The subject of the acknowledgement is decoded from the message's own memory, so the server gets its answer first and the
 * memory is released after it. Any other order throws a `LeaseError`.
 */
export class Lease {
  readonly #message: Answers;
  readonly #payload: Uint8Array;
  readonly #free: (answered: 'ack' | 'nak') => void;
  #answered: 'ack' | 'nak' | null = null;
  #released = false;

  /** `free` returns the memory, once; it gets the answer that the server got. */
  constructor(message: Answers, payload: Uint8Array, free: (answered: 'ack' | 'nak') => void) {
    this.#message = message;
    this.#payload = payload;
    this.#free = free;
  }

  /** The payload; all views of it are valid until `release()`. */
  get payload(): Uint8Array {
    this.checkHeld();
    return this.#payload;
  }

  /** Whether the server got its final answer. */
  get answered(): boolean {
    return this.#answered !== null;
  }

  /** Tells the server that the message is done with. Does nothing after another answer. */
  ack(): void {
    this.#answer('ack');
  }

  /** Hands the message back to the server, for any consumer. Does nothing after another answer. */
  nak(): void {
    this.#answer('nak');
  }

  /** Tells the server that the message is still in use. */
  working(): void {
    this.checkHeld();
    if (this.#answered === null) this.#message.working();
  }

  /** Returns the memory, once; the next message may be read into it. */
  release(): void {
    if (this.#answered === null) {
      throw new LeaseError('a message was released before the server got its answer');
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
    if (this.#released) throw new LeaseError('a message was used after its release');
  }
}
