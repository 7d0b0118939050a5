import { DataBuffer } from '@nats-io/transport-node';

/**
 * What the NATS client has to send. The client's own joins all of it into new memory before each write; here the
 * socket is given the pieces as they are: a payload is read by the system from where it lies.
 *
 * So a payload must keep its bytes until the server has them, which an acknowledgement tells, or a flush.
 */
export class Pieces extends DataBuffer {
  readonly #send: (piece: Uint8Array) => void;

  /** `send` is called with all pieces but the last, in order, before the last is handed out. */
  constructor(send: (piece: Uint8Array) => void) {
    super();
    this.#send = send;
  }

  /** The client sends what this returns. It asks for all, never for `n` bytes of it. */
  override drain(): Uint8Array {
    const last = this.buffers.pop() ?? new Uint8Array(0);
    for (const piece of this.buffers) this.#send(piece);
    this.reset();
    return last;
  }
}
