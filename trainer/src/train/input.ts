import {
  type ModuleConfig,
  positionSubject,
  stateStream,
  trainingSplit,
} from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import { openSource, type TakeOptions } from '../buffer/edge.ts';
import { NO_COUNTS } from '../buffer/worker-protocol.ts';
import { openBatches } from '../data/batches.ts';
import { openSpeechBatches } from '../data/speech-batches.ts';
import type { NatsAccess } from '../nats/connect.ts';
import { DataPosition } from '../replicas/data-position.ts';
import { LastMessages } from '../replicas/last-messages.ts';
import type { Refused } from './refusals.ts';

/** Where a module's batches come from, be it the data set or the module before. */

export interface InputBatch {
  /** Images, speech or rows of encoded activations, one sample after another. */
  bytes: Uint8Array;
  ids: Float64Array;
  labels: Int32Array;
  /** Of each sample: steps and seconds since it was made. Empty for data. */
  stalenessSteps: number[];
  stalenessSeconds: number[];
  /** Tells the edge that the step which used this batch is over. */
  done(): void;
}

export interface Input {
  next(signal: AbortSignal, options?: TakeOptions): Promise<InputBatch>;
  /** Number of the next sample of the data set; what a checkpoint must hold to go on exactly there. */
  position(): number;
  dropped(): number;
  reused(): number;
  /** Number of messages since the start that were no samples of this edge, and why the last was refused. */
  refused(): Refused;
  /** Tells how many trainers the module has, from now on. */
  share(trainers: number): void;
  close(): Promise<void>;
}

export interface InputOptions {
  nats: NatsAccess;
  /** As of `EdgeOptions`. */
  shared?: string;
  /** To the same server: for what takes no data. */
  connection: NatsConnection;
  clientName: string;
  replica: number;
  /** Aborted when no more batches are wanted. */
  stop: AbortSignal;
  /** `position()` of the checkpoint that training goes on from. */
  position: number;
}

export const openInput = (config: ModuleConfig, options: InputOptions): Promise<Input> =>
  config.source.kind === 'edge'
    ? openEdgeInput(config, config.source, options)
    : openDataInput(config, config.source, options);

async function openDataInput(
  { run, uid, name, seed, batchSize, objective }: ModuleConfig,
  source: Exclude<ModuleConfig['source'], { kind: 'edge' }>,
  { connection, replica, position, stop }: InputOptions,
): Promise<Input> {
  const shared = await DataPosition.open({
    messages: new LastMessages(connection, stateStream(run)),
    subject: positionSubject({ ...run, uid }, name),
    replica,
    batchSize,
    start: position,
    stop,
  });
  const split = trainingSplit(objective);
  const draw = () => shared.draw();
  const order = { split, seed, batchSize, start: position, draw } as const;
  const batches = await (source.kind === 'speech'
    ? openSpeechBatches({ ...source, ...order })
    : openBatches({ ...source, ...order }));
  return {
    async next() {
      const batch = await batches.next();
      return { ...batch, stalenessSteps: [], stalenessSeconds: [], done() {} };
    },
    position: () => batches.position,
    dropped: () => 0,
    reused: () => 0,
    refused: () => NO_COUNTS,
    share: (trainers) => shared.share(trainers),
    close: async () => {},
  };
}

async function openEdgeInput(
  { batchSize }: ModuleConfig,
  { edge }: ModuleConfig['source'] & { kind: 'edge' },
  { nats, shared, clientName, replica }: InputOptions,
): Promise<Input> {
  const source = await openSource({ ...nats, shared, edge, batchSize, clientName, replica });
  return {
    async next(signal, options) {
      const batch = await source.take(signal, options);
      const now = Date.now();
      return {
        bytes: batch.bytes,
        ids: batch.ids,
        labels: batch.labels,
        stalenessSteps: Array.from(
          batch.newestSteps,
          (newest, i) => newest - (batch.producerSteps[i] ?? newest),
        ),
        stalenessSeconds: Array.from(batch.madeAt, (at) => Math.max(0, now - at) / 1000),
        done: () => batch.done(),
      };
    },
    position: () => 0,
    dropped: () => source.counters().dropped,
    reused: () => source.counters().reused,
    refused: () => source.counters(),
    share: (trainers) => source.share(trainers),
    close: () => source.close(),
  };
}
