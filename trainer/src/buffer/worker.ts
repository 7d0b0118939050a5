import { parentPort, workerData } from 'node:worker_threads';
import { connectNats } from '../nats/connect.ts';
import { runSink } from './sink-worker.ts';
import { runSource } from './source-worker.ts';
import type { WorkerOptions } from './worker-protocol.ts';

/**
 * Worker thread that owns the NATS connection of an edge. A step blocks the compute thread for up to seconds; a client
 * there would miss acknowledgements and be disconnected as a slow consumer. Messages make the garbage collector run several
 * times a second over everything that the thread has loaded, so it loads little.
 */

const options = workerData as WorkerOptions;
if (parentPort === null) throw new Error('this file runs as a worker thread');

const connection = await connectNats(options, `${options.clientName}-${options.role}`);

await (options.role === 'source' ? runSource : runSink)(parentPort, connection, options);
