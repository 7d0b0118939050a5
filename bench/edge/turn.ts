import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Edge, encodedBytes } from '@greedy-infomax/crds';
import { connect } from '@nats-io/transport-node';
import { deleteStreams, ensureStreams } from '../../operator/src/nats/streams.ts';
import { planStream } from '../../operator/src/plan/stream.ts';
import { freePort } from '../../test/support/nats.ts';
import type { Reading, Start } from './end.ts';
import type { EndOptions, Way } from './ends.ts';
import type { BenchNats } from './server.ts';

/** A producer and a consumer process, started anew for each measurement. */

export type Format = Edge['encoding'];

/** Feature maps of 8 MiB in float32. */
const SHAPE = [1, 64, 128, 256] as const;
const VALUES = 64 * 128 * 256;
export const FLOAT_BYTES = 4 * VALUES;

const BATCH = 8;
const DEPTH = 4 * BATCH;
const WARM_UP_SECONDS = 1;
const AFTER_BLOCK_SECONDS = 10;

let edges = 0;

export function edgeOf(encoding: Format, whenFull: Edge['whenFull']): Edge {
  edges += 1;
  return {
    stream: `BENCH_${edges}`,
    subject: `bench.${edges}`,
    consumer: 'next',
    encoding,
    rectified: true,
    shape: [...SHAPE],
    sampleBytes: encodedBytes(encoding, 1, [64, 128, 256]),
    depth: DEPTH,
    whenFull,
    maxReuse: 0,
  };
}

export interface Measured {
  /** Rate in units of 1e9 bytes of float32 that arrived encoded, per second. */
  rate: number;
  /** Rate in units of 1e9 bytes on the wire, per second. */
  wire: number;
  /** CPU seconds for 1e9 bytes on the wire. */
  cpu: { producer: number; server: number; consumer: number };
  dropped: number;
  repeated: number;
}

/**
 * Transfers samples for `seconds`, through the folder `shared` if given. Throws if none arrives.
 */
export async function turn(
  way: Way,
  edge: Edge,
  nats: BenchNats,
  seconds: number,
  shared?: string,
): Promise<Measured> {
  await using ends = await startEnds(way, edge, nats, { blockSeconds: 0, shared });
  await sleep(1000 * WARM_UP_SECONDS);
  const before = await ends.read();
  await sleep(1000 * seconds);
  const after = await ends.read();
  const gigabytes = (after.consumer.bytes - before.consumer.bytes) / 1e9;
  if (gigabytes === 0) throw new Error(`no samples arrived by ${way} with ${edge.encoding}`);
  const wire = gigabytes / ((after.consumer.at - before.consumer.at) / 1000);
  return {
    rate: (wire * FLOAT_BYTES) / edge.sampleBytes,
    wire,
    cpu: {
      producer: (after.producer.cpu - before.producer.cpu) / gigabytes,
      server: (after.server - before.server) / gigabytes,
      consumer: (after.consumer.cpu - before.consumer.cpu) / gigabytes,
    },
    dropped: after.producer.dropped + after.consumer.dropped,
    repeated: after.consumer.repeated,
  };
}

/** Effects of a consumer's main thread that was busy for this many seconds. */
export interface Blocked {
  /** Batches received after it, in the ten seconds minus the start of the processes. */
  batches: number;
  /** Closed connections. */
  cut: number;
  /** Clients disconnected as too slow. */
  slowConsumers: number;
  /** Messages that the consumer received again. */
  repeated: number;
}

export async function blockedTurn(edge: Edge, nats: BenchNats, seconds: number): Promise<Blocked> {
  const [before, ended] = [await nats.monitor(), await nats.ended()];
  await using ends = await startEnds('edge', edge, nats, { blockSeconds: seconds });
  await sleep(1000 * (seconds + AFTER_BLOCK_SECONDS));
  const after = await nats.monitor();
  const cut = (await nats.ended()) - ended;
  const { consumer } = await ends.read();
  return {
    batches: consumer.bytes / edge.sampleBytes / BATCH - 1,
    cut,
    slowConsumers: after.slow_consumers - before.slow_consumers,
    repeated: consumer.repeated,
  };
}

async function startEnds(
  way: Way,
  edge: Edge,
  nats: BenchNats,
  rest: Pick<EndOptions, 'blockSeconds' | 'shared'>,
) {
  const connection = await connect({ servers: nats.url });
  await ensureStreams(connection, [planStream(edge, BATCH)]);
  const options: EndOptions = {
    edge,
    batchSize: BATCH,
    natsUrl: nats.url,
    port: await freePort(),
    ...rest,
  };
  const consumer = start({ role: 'consumer', way, options });
  await sleep(300); // Raw TCP must listen first.
  const producer = start({ role: 'producer', way, options });
  return {
    async read() {
      const [p, c] = await Promise.all([readingOf(producer), readingOf(consumer)]);
      return { producer: p, consumer: c, server: cpuOf(nats.pid) };
    },
    async [Symbol.asyncDispose]() {
      for (const child of [producer, consumer]) {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }
      await deleteStreams(connection, [{ name: edge.stream }]);
      await connection.close();
    },
  };
}

function start(what: Start): ChildProcess {
  const child = fork(join(import.meta.dirname, 'end.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  child.send(what);
  return child;
}

async function readingOf(child: ChildProcess): Promise<Reading> {
  child.send('read');
  const ended = new AbortController();
  child.once('exit', () => ended.abort(new Error('an end of the transport exited')));
  const [reading] = await once(child, 'message', { signal: ended.signal });
  return reading as Reading;
}

/** Linux counts CPU time in hundredths of a second. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
