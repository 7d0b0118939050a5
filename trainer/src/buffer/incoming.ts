import type { Edge } from '@greedy-infomax/crds';
import {
  chunksPerSample,
  MESSAGE_BYTES,
  SHARED_PAYLOAD_BYTES,
  samplesPerFrame,
} from '@greedy-infomax/crds/frame-limits';
import type { JsMsg } from '@nats-io/jetstream';
import { giveBack, takeMemory } from '../nats/message-memory.ts';
import type { Assembled } from './assembler.ts';
import { BatchMemories } from './batch-memory.ts';
import { checkFinite } from './check-finite.ts';
import { FRAME_HEADER, type Frame, FrameError, openFrameHeader, parseFrame } from './frame.ts';
import { Lease } from './lease.ts';
import { PAYLOAD_HEADER, SharedPayloadReader } from './shared-memory.ts';
import type { WorkerOptions } from './worker-protocol.ts';

/** Maximum number of batches with memory of their own: the one in use, and those read ahead. */
const MAX_BATCHES = 4;

/** A received message: its frame, null if the message is unusable, and the owner of its memory. */
export interface Received {
  frame: Frame | null;
  lease: Lease;
}

/** Reads the messages of an edge, with payloads in the message or in shared memory, and counts unusable ones. */
export class Incoming {
  /** Number of messages that do not belong to this edge. */
  refused = 0;
  /** Why the last of them was refused; empty before the first. */
  refusal = '';
  readonly #edge: Edge;
  readonly #payloads: SharedPayloadReader | null;
  readonly #batches: BatchMemories;
  readonly #samplesPerMessage: number;
  /** Messages whose payload was no longer in shared memory. */
  #gone = 0;

  constructor({ edge, batchSize, shared }: Pick<WorkerOptions, 'edge' | 'batchSize' | 'shared'>) {
    this.#edge = edge;
    this.#batches = new BatchMemories(batchSize * edge.sampleBytes, MAX_BATCHES);
    this.#payloads = shared
      ? new SharedPayloadReader(shared, {
          take: (bytes) => this.#batches.take(bytes) ?? takeMemory(bytes),
          giveBack: (payload) => this.#free(payload),
        })
      : null;
    this.#samplesPerMessage =
      samplesPerFrame(edge, batchSize, shared !== undefined) ||
      1 / chunksPerSample(edge.sampleBytes);
  }

  /** Number of samples whose payload was no longer in shared memory. */
  get gone(): number {
    return Math.round(this.#gone * this.#samplesPerMessage);
  }

  /** Reads a message. The lease owns its memory and its slot in shared memory. */
  read(message: JsMsg): Received {
    const place = message.headers?.get(PAYLOAD_HEADER) ?? '';
    const { data } = message;
    let payload: Uint8Array | null = data;
    try {
      const head = openFrameHeader(message.headers?.values(FRAME_HEADER) ?? [], place);
      if (place && this.#payloads) payload = this.#payloads.read(place);
      if (payload === null) {
        this.#gone += 1;
        return { frame: null, lease: this.#lease(message, place, [data]) };
      }
      const longest = place ? SHARED_PAYLOAD_BYTES : MESSAGE_BYTES;
      const frame = parseFrame(head, payload, this.#edge.sampleBytes, longest);
      checkFinite(frame, this.#edge);
      return { frame, lease: this.#lease(message, place, [payload, data]) };
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.refused += 1;
      this.refusal = error.message;
      return { frame: null, lease: this.#lease(message, place, [payload ?? data, data]) };
    }
  }

  /** Returns memory that a step may read without a copy, if the sample's message was exactly a batch; else null. */
  batchOf({ parts: [part] }: Assembled): SharedArrayBuffer | null {
    return part ? this.#batches.find(part) : null;
  }

  close(): void {
    this.#payloads?.close();
  }

  /** Creates the lease of a message. `memory`: the payload first, then other memory to free with it. */
  #lease(message: JsMsg, place: string, memory: [Uint8Array, ...Uint8Array[]]): Lease {
    return new Lease(message, memory[0], (answer) => {
      for (const view of memory) this.#free(view);
      // A message that was handed back is delivered again, so its payload must stay in its slot.
      if (place && answer === 'ack') this.#payloads?.release(place);
    });
  }

  #free(view: Uint8Array): void {
    if (!this.#batches.giveBack(view)) giveBack(view);
  }
}

/** Messages of one or more samples, and the number of these samples that may still be used. */
export interface Origin {
  /** Owners of the memory of the samples; they are released after the last sample. */
  leases: readonly Lease[];
  /** Number of samples in these messages. */
  samples: number;
  /** Number of samples that may still be used. */
  outstanding: number;
}

/** A received sample with the messages that contained it. */
export interface Arrived extends Assembled {
  producer: number;
  origin: Origin;
}

/** Returns `samples` in the order of their message if they are exactly the samples of one message; else null. */
export function allOfOneMessage(samples: readonly Arrived[]): Arrived[] | null {
  const [first] = samples;
  const { origin } = first ?? {};
  if (!origin || origin.samples !== samples.length) return null;
  if (samples.some((sample) => sample.origin !== origin || sample.parts.length > 1)) return null;
  const placeOf = ({ parts: [part] }: Arrived) => part?.byteOffset ?? 0;
  return samples.toSorted((a, b) => placeOf(a) - placeOf(b));
}

/** Copies the samples, one after another. Throws a `LeaseError` if the memory of one was released. */
export function copyRows(samples: readonly Arrived[], into: Buffer): void {
  let at = 0;
  for (const { parts, origin } of samples) {
    for (const lease of origin.leases) lease.checkHeld();
    for (const part of parts) {
      // Buffer.copy uses memmove for a part of a buffer. For a whole one it uses set(), which writes shared memory word
      // by word, or byte by byte if the alignments differ.
      const end = part.byteOffset + part.length;
      at += Buffer.from(part.buffer).copy(into, at, part.byteOffset, end);
    }
  }
}
