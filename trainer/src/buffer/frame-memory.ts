import { MESSAGE_BYTES } from '@greedy-infomax/crds/frame-limits';

/**
 * Memory of messages, used again once the server has them: to ask the system for new memory costs more than to
 * copy a message into it.
 */
export class FrameMemory {
  readonly #free: ArrayBufferLike[] = [];

  /** Its bytes may be those of another message. */
  take(bytes: number): Uint8Array<ArrayBufferLike> {
    return new Uint8Array(this.#free.pop() ?? new ArrayBuffer(MESSAGE_BYTES), 0, bytes);
  }

  /** Nobody may read the message any more. */
  give(frame: Uint8Array): void {
    this.#free.push(frame.buffer);
  }
}
