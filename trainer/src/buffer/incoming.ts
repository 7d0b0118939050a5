import type { Edge } from '@greedy-infomax/crds';
import {
  chunksPerSample,
  MESSAGE_BYTES,
  SHARED_BODY_BYTES,
  samplesPerFrame,
} from '@greedy-infomax/crds/frame-limits';
import type { JsMsg } from '@nats-io/jetstream';
import { giveBack, takeMemory } from '../nats/message-memory.ts';
import type { Assembled } from './assembler.ts';
import { BatchMemories } from './batch-memory.ts';
import { checkNumbers } from './check-finite.ts';
import { FRAME_HEADER, type Frame, FrameError, parseFrame } from './frame.ts';
import { BODY_HEADER, type BodyMemory, SharedBodyReader } from './shared-memory.ts';
import type { WorkerOptions } from './worker-protocol.ts';

/** Batches that may be in memory of their own: what is used, and what was read ahead. */
const MOST_BATCHES = 4;

/** Reads the messages of an edge, wherever their bodies are, and counts those that are of no use. */
export class Incoming implements BodyMemory {
  /** Messages that were no part of this edge. */
  refused = 0;
  readonly #edge: Edge;
  readonly #bodies: SharedBodyReader | null;
  readonly #batches: BatchMemories;
  readonly #samplesPerMessage: number;
  /** Messages whose bodies were not in shared memory any more. */
  #gone = 0;

  constructor({ edge, batchSize, shared }: Pick<WorkerOptions, 'edge' | 'batchSize' | 'shared'>) {
    this.#edge = edge;
    this.#bodies = shared ? new SharedBodyReader(shared, this) : null;
    this.#batches = new BatchMemories(batchSize * edge.sampleBytes, MOST_BATCHES);
    this.#samplesPerMessage =
      samplesPerFrame(edge, batchSize, shared !== undefined) ||
      1 / chunksPerSample(edge.sampleBytes);
  }

  /** Samples in bodies that were gone. */
  get gone(): number {
    return Math.round(this.#gone * this.#samplesPerMessage);
  }

  /** Views into memory that is to be given back. Null for a message that is of no use. */
  read(message: JsMsg): Frame | null {
    const place = placeOf(message);
    const body = place && this.#bodies ? this.#bodies.read(place) : message.data;
    if (body === null) {
      this.#gone += 1;
      return null;
    }
    try {
      const header = message.headers?.get(FRAME_HEADER) ?? '';
      const frame = parseFrame(
        { header, body },
        this.#edge.sampleBytes,
        place ? SHARED_BODY_BYTES : MESSAGE_BYTES,
      );
      checkNumbers(frame, this.#edge);
      return frame;
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.refused += 1;
      this.giveBack(body);
      return null;
    }
  }

  /** Where a step may read all of a message as it came, of which this is a sample: it was exactly a batch. Else null. */
  batchOf({ parts: [part] }: Assembled): SharedArrayBuffer | null {
    return part ? this.#batches.find(part) : null;
  }

  /** Nobody reads the memory of a message any more, of which `view` is a part. */
  giveBack(view: Uint8Array): void {
    if (!this.#batches.giveBack(view)) giveBack(view);
  }

  take(bytes: number): Uint8Array {
    return this.#batches.take(bytes) ?? takeMemory(bytes);
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
