import { parentPort, workerData } from 'node:worker_threads';
import { connectNats } from '../nats/connect.ts';
import { runSink } from './sink-worker.ts';
import { runSource } from './source-worker.ts';
import type { WorkerOptions } from './worker-protocol.ts';

/**
 * The thread that owns the NATS connection. A step blocks the compute thread for up to seconds; a client
 * there would miss its acknowledgements and be cut off as a slow consumer. What passes through it makes the
 * garbage collector run several times a second, each time over all that the thread has loaded: it loads little.
 */

const options = workerData as WorkerOptions;
if (parentPort === null) throw new Error('this file runs as a worker thread');

const connection = await connectNats(options, `${options.clientName}-${options.role}`);

await (options.role === 'source' ? runSource : runSink)(parentPort, connection, options);
