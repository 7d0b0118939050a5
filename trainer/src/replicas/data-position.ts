import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { LastMessage, LastMessages } from './last-messages.ts';

/**
 * Which samples of the data set a trainer draws, so that no two of a module draw the same one.
 *
 * A trainer alone counts for itself and needs nobody. With others it takes every batch from the subject of the
 * position, on which all take turns: who puts the next position there while the last one is still the one that it
 * read has the samples between the two. Only the first replica puts the position there, and it takes it away before
 * it counts for itself again, so a count that changes at different times for different trainers gives no sample
 * twice. A trainer that dies takes at most the batch that it had drawn with it.
 */

const messageSchema = z.strictObject({
  /** Ordinal of the sample to draw next; null: the first replica counts for itself. */
  next: z.int().min(0).nullable(),
});

/** Milliseconds between two attempts, for a server that is gone or a position that is not there yet. */
const RETRY = 250;

export interface DataPositionOptions {
  messages: Pick<LastMessages, 'read' | 'replace'>;
  subject: string;
  replica: number;
  batchSize: number;
  /** Ordinal to go on from. */
  start: number;
  /** Aborted when no more samples are wanted. */
  stop: AbortSignal;
}

export class DataPosition {
  readonly #options: DataPositionOptions;
  /** Behind all that this trainer has drawn. */
  #next: number;
  /** Trainers of the module, as far as this one has heard. */
  #trainers = 1;
  #alone: boolean;
  #last: LastMessage | null = null;

  /** Looks whether the position is shared already. */
  static async open(options: DataPositionOptions): Promise<DataPosition> {
    const position = new DataPosition(options);
    if (options.replica > 0) return position;
    try {
      position.#last = await options.messages.read(options.subject);
      position.#alone = nextIn(position.#last) === null;
    } catch {
      // No server or no stream: nobody shares anything.
    }
    if (!position.#alone) position.#trainers = 2; // until it hears better
    return position;
  }

  private constructor(options: DataPositionOptions) {
    this.#options = options;
    this.#next = options.start;
    this.#alone = options.replica === 0;
  }

  share(trainers: number): void {
    this.#trainers = trainers;
  }

  /** Ordinal of the first sample of a batch that no other trainer gets. Rejects when `stop` is aborted. */
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

  /** Null when it has to be tried again. */
  async #drawShared(): Promise<number | null> {
    const { batchSize, replica, stop } = this.#options;
    this.#last ??= await this.#read();
    const shared = nextIn(this.#last);
    if (shared === null && replica > 0) {
      this.#last = null;
      await pause(stop);
      return null;
    }
    // What is there may be older than what this trainer knows, if the server has lost it.
    const first = Math.max(shared ?? 0, this.#next);
    if (!(await this.#replace(first + batchSize))) return null;
    this.#alone = false;
    return this.#advance(first);
  }

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
    return null; // not ours
  }
}

const pause = (stop: AbortSignal): Promise<unknown> =>
  sleep(RETRY, undefined, { signal: stop }).catch(() => undefined);
