import type { ModuleConfig } from '@greedy-infomax/crds';
import { openSource } from '../buffer/edge.ts';
import { openBatches } from '../data/batches.ts';
import { openSpeechBatches } from '../data/speech-batches.ts';
import type { NatsAccess } from '../nats.ts';

/** Where a module's batches come from, be it the data set or the module before. */

export interface FeedBatch {
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

export interface Feed {
  next(signal: AbortSignal): Promise<FeedBatch>;
  /** Number of the next sample of the data set; what a checkpoint must hold to go on exactly there. */
  position(): number;
  dropped(): number;
  reused(): number;
  close(): Promise<void>;
}

export interface FeedOptions {
  nats: NatsAccess;
  clientName: string;
  /** `position()` of the checkpoint that training goes on from. */
  position: number;
}

export const openFeed = (config: ModuleConfig, options: FeedOptions): Promise<Feed> =>
  config.source.kind === 'edge'
    ? openEdgeFeed(config, config.source, options)
    : openDataFeed(config, config.source, options);

async function openDataFeed(
  { seed, batchSize, objective }: ModuleConfig,
  source: Exclude<ModuleConfig['source'], { kind: 'edge' }>,
  { position }: FeedOptions,
): Promise<Feed> {
  const split = objective.type === 'classLabels' ? 'labelled' : 'train';
  const order = { split, seed, batchSize, start: position } as const;
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
    close: async () => {},
  };
}

async function openEdgeFeed(
  { batchSize }: ModuleConfig,
  { edge }: ModuleConfig['source'] & { kind: 'edge' },
  { nats, clientName }: FeedOptions,
): Promise<Feed> {
  const source = await openSource({ ...nats, edge, batchSize, clientName });
  return {
    async next(signal) {
      const batch = await source.take(signal);
      const now = Date.now();
      const newest = source.latestProducerStep();
      return {
        bytes: batch.bytes,
        ids: batch.ids,
        labels: batch.labels,
        stalenessSteps: Array.from(batch.producerSteps, (step) => newest - step),
        stalenessSeconds: Array.from(batch.madeAt, (at) => Math.max(0, now - at) / 1000),
        done: () => batch.done(),
      };
    },
    position: () => 0,
    dropped: () => source.counters().dropped,
    reused: () => source.counters().reused,
    close: () => source.close(),
  };
}
