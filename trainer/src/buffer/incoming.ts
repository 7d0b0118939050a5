import type { Edge } from '@greedy-infomax/crds';
import { chunksPerSample, samplesPerFrame } from '@greedy-infomax/crds/frame-limits';
import type { JsMsg } from '@nats-io/jetstream';
import { giveBack } from '../nats/message-memory.ts';
import { FRAME_HEADER, type Frame, FrameError, parseFrame } from './frame.ts';
import type { WorkerOptions } from './messages.ts';
import { checkNumbers } from './numbers.ts';
import { BODY_HEADER, SharedBodyReader } from './shared-bodies.ts';

/** Reads the messages of an edge, wherever their bodies are, and counts those that are of no use. */
export class Incoming {
  /** Messages that were no part of this edge. */
  refused = 0;
  readonly #edge: Edge;
  readonly #bodies: SharedBodyReader | null;
  readonly #samplesPerMessage: number;
  /** Messages whose bodies were not in shared memory any more. */
  #gone = 0;

  constructor({ edge, batchSize, shared }: Pick<WorkerOptions, 'edge' | 'batchSize' | 'shared'>) {
    this.#edge = edge;
    this.#bodies = shared ? new SharedBodyReader(shared) : null;
    this.#samplesPerMessage =
      samplesPerFrame(edge, batchSize, shared !== undefined) ||
      1 / chunksPerSample(edge.sampleBytes);
  }

  /** Samples in bodies that were gone. */
  get gone(): number {
    return Math.round(this.#gone * this.#samplesPerMessage);
  }

  /** Views into memory for `giveBack`. Null for a message that is of no use. */
  read(message: JsMsg): Frame | null {
    const place = placeOf(message);
    const body = place && this.#bodies ? this.#bodies.read(place) : message.data;
    if (body === null) {
      this.#gone += 1;
      return null;
    }
    try {
      const header = message.headers?.get(FRAME_HEADER) ?? '';
      const frame = parseFrame({ header, body }, this.#edge.sampleBytes);
      checkNumbers(frame, this.#edge);
      return frame;
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.refused += 1;
      giveBack(body);
      return null;
    }
  }

  /** To be called for a message that nobody will be given again. */
  release(message: JsMsg): void {
    const place = placeOf(message);
    if (place) this.#bodies?.release(place);
  }

  close(): void {
    this.#bodies?.close();
  }
}

/** Where a message's body is, if not in the message. */
const placeOf = ({ headers }: JsMsg): string => headers?.get(BODY_HEADER) ?? '';
