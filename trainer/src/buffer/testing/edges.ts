import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHUNK_BYTES, chunksPerSample, type Edge, samplesPerMessage } from '@greedy-infomax/crds';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { expect } from 'vitest';
import { ensureStreams } from '../../../../operator/src/nats/streams.ts';
import { startNats, type TestNats } from '../../../../test/support/nats.ts';
import { openSink, openSource, type Sink, type Source } from '../edge.ts';

/** Options of `TestEdges.start` for each way of payloads, by name. */
export const TRANSPORTS: [string, { shared: boolean }][] = [
  ['through the server', { shared: false }],
  ['through shared memory', { shared: true }],
];

/** Test edges on a NATS server of their own. */
export class TestEdges {
  readonly nats: TestNats;
  readonly connection: NatsConnection;
  /** Folder for large payloads. */
  readonly shared?: string;
  #count = 0;
  readonly #open: { close(): Promise<void> }[] = [];

  static async start({ shared = false } = {}): Promise<TestEdges> {
    const nats = await startNats();
    const connection = await connect({
      servers: nats.url,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
    return new TestEdges(nats, connection, shared);
  }

  private constructor(nats: TestNats, connection: NatsConnection, shared: boolean) {
    this.nats = nats;
    this.connection = connection;
    if (shared) this.shared = mkdtempSync(join(tmpdir(), 'gim-shared-'));
  }

  /** Creates an edge with its stream. */
  async make(overrides: Partial<Edge> = {}): Promise<Edge> {
    this.#count += 1;
    const edge: Edge = {
      stream: `TEST_${this.#count}`,
      subject: `test.edge.${this.#count}`,
      consumer: 'next',
      encoding: 'int8',
      rectified: true,
      shape: [1, 1, 1, 1],
      sampleBytes: 1000,
      depth: 64,
      whenFull: 'dropOldest',
      maxReuse: 0,
      ...overrides,
    };
    await this.#makeStream(edge);
    return edge;
  }

  /** Creates the stream again once the restarted server answers. */
  async remakeStream(edge: Edge): Promise<void> {
    for (;;) {
      try {
        await this.#makeStream(edge);
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  #makeStream(edge: Edge): Promise<number> {
    const { depth, sampleBytes, whenFull, stream: name, subject } = edge;
    return ensureStreams(this.connection, [
      {
        name,
        subject,
        whenFull,
        depth,
        sampleBytes,
        maxBytes: depth * (sampleBytes + 2000) + 4_000_000,
        maxMessages:
          samplesPerMessage(sampleBytes) > 0 ? depth : depth * chunksPerSample(sampleBytes),
        maxMessageBytes: 1_048_576,
        consumer: { name: edge.consumer, ackWaitSeconds: 60, maxAckPending: 1000 },
      },
    ]);
  }

  /** Returns the number of messages and bytes in the edge's stream. */
  async contents({ stream }: Edge): Promise<{ messages: number; bytes: number }> {
    const jsm = await jetstreamManager(this.connection);
    return (await jsm.streams.info(stream)).state;
  }

  async source(edge: Edge, batchSize: number): Promise<Source> {
    return this.#opened(await openSource(this.#end(edge, batchSize)));
  }

  async sink(edge: Edge, batchSize: number): Promise<Sink> {
    return this.#opened(await openSink(this.#end(edge, batchSize)));
  }

  #end(edge: Edge, batchSize: number) {
    return { natsUrl: this.nats.url, shared: this.shared, edge, batchSize, clientName: 'test' };
  }

  #opened<T extends { close(): Promise<void> }>(end: T): T {
    this.#open.push(end);
    return end;
  }

  async closeEnds(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((end) => end.close()));
  }

  async stop(): Promise<void> {
    await this.connection.close();
    await this.nats.stop();
    if (this.shared) rmSync(this.shared, { recursive: true });
  }
}

/** Bytes of samples that go several to a message, one to a message, and in chunks. */
export const PER_MESSAGE: [string, number][] = [
  ['small samples', 1000],
  ['large samples', 120_000],
  ['samples in chunks', CHUNK_BYTES + 1000],
];

/** Returns a byte that depends on its sample and place, so mixed samples show. Bytes below 64 are small floats. */
const byteOf = (id: number, i: number) => (id * 31 + i * 7 + (i >> 8)) & 63;

/** Returns a batch of the samples `ids`. */
export function rows(edge: Edge, ids: number[], producerStep = 0) {
  const size = edge.sampleBytes;
  const bytes = new Uint8Array(ids.length * size);
  for (const [row, id] of ids.entries()) {
    for (let i = 0; i < size; i += 1) bytes[row * size + i] = byteOf(id, i);
  }
  const labels = Int32Array.from(ids, (id) => id % 10);
  return { bytes, ids: Float64Array.from(ids), labels, producerStep, madeAt: Date.now() };
}

/** Expects each sample to have exactly the bytes that `rows` made. */
export function expectWhole(edge: Edge, batch: Awaited<ReturnType<Source['take']>>): void {
  for (const [row, id] of batch.ids.entries()) {
    expect(batch.labels[row]).toBe(id % 10);
    const got = batch.bytes.subarray(row * edge.sampleBytes, (row + 1) * edge.sampleBytes);
    const wrong = got.findIndex((byte, i) => byte !== byteOf(id, i));
    expect(wrong, `first wrong byte of sample ${id}`).toBe(-1);
  }
}

export const within = (ms: number) => AbortSignal.timeout(ms);
