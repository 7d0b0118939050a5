import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Edge } from '@greedy-infomax/crds';
import { CHUNK_BYTES, chunksPerSample, shardsOf } from '@greedy-infomax/crds/frame-limits';
import { shardConsumer, shardSubject } from '@greedy-infomax/crds/names';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { openSink, openSource } from '../../trainer/src/buffer/edge.ts';

/** Both ends of each transport between two processes. */

export interface EndOptions {
  edge: Edge;
  batchSize: number;
  /** URL of the NATS server. */
  natsUrl: string;
  /** Folder in memory for activations; without it they go through the server. */
  shared?: string;
  /** Raw TCP: port of the consumer. */
  port: number;
  /** Seconds for which the consumer's main thread blocks after its first batch. */
  blockSeconds: number;
}

export interface Tally {
  /** Bytes of completed samples: sent and acknowledged, or received. */
  bytes: number;
  /** Messages that were redelivered. */
  repeated: number;
  /** Samples dropped by a ring or by the producer. */
  dropped: number;
}

/** Runs until the process ends, and updates the counts. */
type End = (options: EndOptions, tally: Tally) => Promise<void>;

export type Way = 'edge' | 'bare' | 'tcp';

const forever = new AbortController().signal;

/** Concurrent publishes, as many as the edge has. */
const WINDOW = 8;
/** Batches between checks of how far the producer is ahead. */
const LOOK_EVERY = 2;
/** Milliseconds between checks of a producer that is too far ahead. */
const PAUSE = 20;
/** Messages requested at a time, as many as the edge requests. */
const MAX_MESSAGES = 4;

export const PRODUCERS: Record<Way, End> = {
  async edge({ edge, batchSize, natsUrl, shared }, tally) {
    const sink = await openSink({ natsUrl, shared, edge, batchSize, clientName: 'bench' });
    const batchBytes = batchSize * edge.sampleBytes;
    const activations = samples(batchBytes);
    for (let batch = 0; ; batch += 1) {
      const rows = {
        bytes: activations.slice(), // A step also writes them to new memory.
        ids: Float64Array.from({ length: batchSize }, (_, i) => batch * batchSize + i),
        labels: new Int32Array(batchSize),
        producerStep: batch,
        madeAt: Date.now(),
      };
      await sink.put(rows, forever);
      // A producer that never waits would drop the excess: here it runs at the consumer's rate.
      const looks = edge.whenFull === 'dropOldest' && batch % LOOK_EVERY === 0;
      while (looks && ((await sink.pending()) ?? 0) > edge.depth / 2) await sleep(PAUSE);
      tally.bytes += batchBytes;
    }
  },

  async bare({ edge, batchSize, natsUrl }, tally) {
    const connection = await connect({ servers: natsUrl });
    const js = jetstream(connection);
    const shards = shardsOf(edge.sampleBytes);
    const jsm = await jetstreamManager(connection, { checkAPI: false });
    const subject = shardSubject(edge.subject, 0, shards);
    const count = chunksPerSample(edge.sampleBytes);
    const activations = samples(batchSize * edge.sampleBytes);
    let batch = activations;
    const part = (i: number) => {
      const sample = (Math.floor(i / count) % batchSize) * edge.sampleBytes;
      const begin = (i % count) * CHUNK_BYTES;
      return batch.subarray(
        sample + begin,
        sample + Math.min(begin + CHUNK_BYTES, edge.sampleBytes),
      );
    };
    /** Limits the lead over the consumer as the edge does. */
    const paced = async () => {
      const name = shardConsumer(edge.consumer, 0, shards);
      const most = (edge.depth / 2) * count;
      while ((await jsm.consumers.info(edge.stream, name)).num_pending > most) await sleep(PAUSE);
    };
    /** False if the stream is full, possible only if it does not drop. */
    const taken = (bytes: Uint8Array) =>
      js.publish(subject, bytes).then(
        () => true,
        (error) => {
          if (edge.whenFull === 'block') return false;
          throw error;
        },
      );
    const publish = async (i: number) => {
      const bytes = part(i);
      while (!(await taken(bytes))) await sleep(PAUSE);
      tally.bytes += bytes.length;
    };
    const lanes = Array.from({ length: WINDOW }, async (_, lane) => {
      for (let i = lane; ; i += WINDOW) {
        if (i % (batchSize * count) === 0) batch = activations.slice(); // As the edge does.
        if (i % (LOOK_EVERY * batchSize * count) === 0) await paced();
        await publish(i);
      }
    });
    await Promise.all(lanes);
  },

  async tcp({ port, edge }, tally) {
    const socket = createConnection(port, '127.0.0.1');
    const chunk = samples(CHUNK_BYTES);
    for (;;) {
      if (!socket.write(chunk)) await once(socket, 'drain');
      tally.bytes += Math.min(chunk.length, edge.sampleBytes);
    }
  },
};

export const CONSUMERS: Record<Way, End> = {
  async edge({ edge, batchSize, natsUrl, shared, blockSeconds }, tally) {
    const source = await openSource({ natsUrl, shared, edge, batchSize, clientName: 'bench' });
    for (let batches = 0; ; batches += 1) {
      const batch = await source.take(forever);
      if (batches === 0 && blockSeconds > 0) block(1000 * blockSeconds);
      tally.bytes += batch.bytes.length;
      batch.done();
      const { repeated, dropped } = source.counters();
      tally.repeated = repeated;
      tally.dropped = dropped;
    }
  },

  async bare({ edge, natsUrl }, tally) {
    const connection = await connect({ servers: natsUrl });
    const name = shardConsumer(edge.consumer, 0, shardsOf(edge.sampleBytes));
    const consumer = await jetstream(connection).consumers.get(edge.stream, name);
    for await (const message of await consumer.consume({ max_messages: MAX_MESSAGES })) {
      tally.bytes += message.data.length;
      message.ack();
    }
  },

  async tcp({ port }, tally) {
    const server = createServer((socket) => {
      socket.on('data', (data) => {
        tally.bytes += data.length;
      });
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'close');
  },
};

/** Half of the values are zeros, as after a ReLU. */
function samples(bytes: number): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i += 2) made[i] = i;
  return made;
}

function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
