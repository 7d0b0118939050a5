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
import type { Refused } from './reporter.ts';

/** Input of a module: batches of the data set or of the module before. */

export interface InputBatch {
  /** Images, speech or rows of encoded activations, one sample after another. */
  bytes: Uint8Array;
  ids: Float64Array;
  labels: Int32Array;
  /** Staleness of each sample, in steps of its producer and in seconds. Empty for a data set. */
  stalenessSteps: number[];
  stalenessSeconds: number[];
  /** Returns the memory of the batch to the edge after the step. */
  done(): void;
}

export interface Input {
  next(signal: AbortSignal, options?: TakeOptions): Promise<InputBatch>;
  /** Returns the ordinal of the next sample of the data set; a checkpoint stores it to continue there. */
  position(): number;
  dropped(): number;
  reused(): number;
  /** Returns the number of refused messages since the start, and the reason for the last one. */
  refused(): Refused;
  /** Sets the number of trainers of the module. */
  share(trainers: number): void;
  close(): Promise<void>;
}

export interface InputOptions {
  nats: NatsAccess;
  /** See `EdgeOptions.shared`. */
  shared?: string;
  /** Connection to the same server, for small messages. */
  connection: NatsConnection;
  clientName: string;
  replica: number;
  /** Aborted when no more batches are needed. */
  stop: AbortSignal;
  /** `Input.position()` as stored in the checkpoint. */
  position: number;
}

/** Opens the input of a module: its edge or its data set. */
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
