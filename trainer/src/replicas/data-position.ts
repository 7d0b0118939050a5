import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { LastMessage, LastMessages } from './last-messages.ts';

/**
 * Position of a module's replicas in the data set: no two replicas draw the same sample.
 *
 * A single trainer counts locally. Several trainers take every batch from a shared position, the last message on a subject.
 * A trainer that replaces the message it has read (compare and swap) owns the samples between the two positions. Only
 * replica 0 publishes the first position, and it removes it before it counts locally again. So no sample is drawn twice
 * while trainers learn of a new number of replicas at different times. A trainer that dies loses at most one batch.
 */

const messageSchema = z.strictObject({
  /** Ordinal of the next sample; null while replica 0 counts locally. */
  next: z.int().min(0).nullable(),
});

/** Milliseconds between two attempts while the server or the position is missing. */
const RETRY = 250;

export interface DataPositionOptions {
  messages: Pick<LastMessages, 'read' | 'replace'>;
  subject: string;
  replica: number;
  batchSize: number;
  /** Ordinal of the first sample. */
  start: number;
  /** Aborted when no more samples are needed. */
  stop: AbortSignal;
}

export class DataPosition {
  readonly #options: DataPositionOptions;
  /** Ordinal after the last sample that this trainer has drawn. */
  #next: number;
  /** Number of trainers of the module, as far as known. */
  #trainers = 1;
  /** True while this trainer counts locally. */
  #alone: boolean;
  #last: LastMessage | null = null;

  /** Opens the position; reads whether it is shared already. */
  static async open(options: DataPositionOptions): Promise<DataPosition> {
    const position = new DataPosition(options);
    if (options.replica > 0) return position;
    try {
      position.#last = await options.messages.read(options.subject);
      position.#alone = nextIn(position.#last) === null;
    } catch {
      // No server or no stream: no position is shared.
    }
    if (!position.#alone) position.#trainers = 2; // until the number of trainers is known
    return position;
  }

  private constructor(options: DataPositionOptions) {
    this.#options = options;
    this.#next = options.start;
    this.#alone = options.replica === 0;
  }

  /** Sets the number of trainers of the module. */
  share(trainers: number): void {
    this.#trainers = trainers;
  }

  /** Draws a batch that no other trainer gets; returns the ordinal of its first sample. Rejects when `stop` is aborted. */
  async draw(): Promise<number> {
    const { stop, replica } = this.#options;
    for (;;) {
      stop.throwIfAborted();
      const wantsAlone = replica === 0 && this.#trainers === 1;
      if (wantsAlone && this.#alone) return this.#advance(this.#next);
      try {
        const first = wantsAlone ? await this.#takeAway() : await this.#drawShared();
        if (first !== null) return first;
      } catch {
        this.#last = null; // the server or the stream is gone, and with it the position
        await pause(stop);
      }
    }
  }

  /** Draws from the shared position; null if another attempt is needed. */
  async #drawShared(): Promise<number | null> {
    const { batchSize, replica, stop } = this.#options;
    this.#last ??= await this.#read();
    const shared = nextIn(this.#last);
    if (shared === null && replica > 0) {
      this.#last = null;
      await pause(stop);
      return null;
    }
    // The shared position may be older than this trainer's own, if the server lost messages.
    const first = Math.max(shared ?? 0, this.#next);
    if (!(await this.#replace(first + batchSize))) return null;
    this.#alone = false;
    return this.#advance(first);
  }

  /** Removes the shared position and draws a batch; null if another attempt is needed. */
  async #takeAway(): Promise<number | null> {
    this.#last ??= await this.#read();
    const first = Math.max(nextIn(this.#last) ?? 0, this.#next);
    if (!(await this.#replace(null))) return null;
    this.#alone = true;
    return this.#advance(first);
  }

  #read = (): Promise<LastMessage | null> => this.#options.messages.read(this.#options.subject);

  async #replace(next: number | null): Promise<boolean> {
    const { messages, subject } = this.#options;
    const data = new TextEncoder().encode(JSON.stringify({ next }));
    const sequence = await messages.replace(subject, this.#last?.sequence ?? 0, data);
    this.#last = sequence === null ? null : { data, sequence };
    return sequence !== null;
  }

  #advance(first: number): number {
    this.#next = first + this.#options.batchSize;
    return first;
  }
}

function nextIn(message: LastMessage | null): number | null {
  if (message === null) return null;
  try {
    return messageSchema.parse(JSON.parse(new TextDecoder().decode(message.data))).next;
  } catch {
    return null; // not a position
  }
}

const pause = (stop: AbortSignal): Promise<unknown> =>
  sleep(RETRY, undefined, { signal: stop }).catch(() => undefined);
