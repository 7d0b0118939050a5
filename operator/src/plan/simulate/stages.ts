import {
  chunksPerSample,
  type Edge,
  type ModuleConfig,
  samplesPerFrame,
} from '@greedy-infomax/crds';
import { z } from 'zod';
import { sharesOf } from '../threads.ts';
import type { Link, Pipeline, Stage } from './pipeline.ts';

/** The file of `gim plan --simulate`: what was measured of each module, and what the machine has. */

const positive = z.number().positive();

const stageSchema = z.strictObject({
  /** Milliseconds of a training step when nothing else runs. */
  msPerBatch: positive,
  /** Milliseconds of a step of a module that only forwards. Default: a third of `msPerBatch`. */
  forwardMsPerBatch: positive.optional(),
  /** Cores that a step keeps busy: its CPU time by its time; 0 for a GPU. Default 1. */
  cores: z.number().min(0).default(1),
  /** Times as long that a trainer takes for a batch, by waiting, as with the variable SLOWDOWN. */
  slowdown: z.number().min(1).default(1),
  /** Trainers of the module. Default: as many as the run file says. */
  replicas: z.int().min(1).max(64).optional(),
});

export const stagesSchema = z.strictObject({
  modules: z.record(z.string(), stageSchema),
  /** Cores that all trainers share. Default: each has as many as it needs. */
  cores: positive.optional(),
  /** Throughput of an edge through the NATS server. Default: as measured on one machine. */
  linkMegabytesPerSecond: positive.default(700),
  /** CPU seconds per gigabyte of producer, server and consumer together. Default: as measured by bench/edge. */
  linkCpuSecondsPerGigabyte: z.number().min(0).default(4.5),
  /** Standard deviation of the time of a step by its mean. */
  jitter: z.number().min(0).max(0.5).default(0.1),
  seed: z.int().default(1),
});
export type Stages = z.infer<typeof stagesSchema>;

/** A file of stage times that does not fit its schema or the run. */
export class StagesError extends Error {
  override readonly name = 'StagesError';
}

/** Throws a `StagesError` that names `file`. */
export function parseStages(text: string, file: string): Stages {
  try {
    return stagesSchema.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new StagesError(
      `${file}: ${reason}; right would be {"cores": 2, "modules": {"NAME": {"msPerBatch": 12.5, "cores": 1.8}}}`,
    );
  }
}

/**
 * Returns the planned run with measured times. `replicas`: number of trainers of a module if the file does not set
 * it. Throws a `StagesError` for a module without a time.
 */
export function pipelineOf(
  modules: readonly ModuleConfig[],
  { modules: stages, ...machine }: Stages,
  budget: number,
  replicas: (module: string) => number = () => 1,
): Pipeline {
  const missing = modules.filter(({ name }) => !stages[name]).map(({ name }) => name);
  const unknown = Object.keys(stages).filter((each) => !modules.some(({ name }) => name === each));
  if (missing.length > 0 || unknown.length > 0) {
    throw new StagesError(
      `the stage times must name the modules ${modules.map(({ name }) => name).join(', ')}; ${missing.length > 0 ? `there is none for ${missing.join(', ')}` : `the run has no ${unknown.join(', ')}`}`,
    );
  }
  const trainers = modules.map(({ name }) => stages[name]?.replicas ?? replicas(name));
  const shares = sharesOf(
    machine.cores ?? Number.POSITIVE_INFINITY,
    modules.map((module, i) => ({ module, trainers: trainers[i] as number })),
  );
  const edges = modules.flatMap(({ sink, batchSize }) => (sink ? [{ sink, batchSize }] : []));
  const [first] = edges;
  return {
    stages: modules.map(({ name, batchSize }, i): Stage => {
      const stage = stages[name] as Stages['modules'][string];
      const { msPerBatch, forwardMsPerBatch = msPerBatch / 3, cores, slowdown } = stage;
      const longer = Math.max(1, cores / (shares[i]?.threads ?? 1));
      return {
        name,
        batchSize,
        msPerBatch: longer * msPerBatch,
        forwardMsPerBatch: longer * forwardMsPerBatch,
        cores: cores / longer,
        keepsTo: shares[i]?.cores ?? null,
        slowdown,
        replicas: trainers[i] as number,
      };
    }),
    links: edges.map(({ sink, batchSize }) => linkOf(sink, batchSize, machine)),
    whenFull: first?.sink.whenFull ?? 'dropOldest',
    maxReuse: first?.sink.maxReuse ?? 0,
    stores: first?.sink.stores ?? false,
    budget,
    cores: machine.cores ?? null,
    jitter: machine.jitter,
    seed: machine.seed,
  };
}

function linkOf(edge: Edge, batchSize: number, machine: Omit<Stages, 'modules'>): Link {
  const { sampleBytes, depth } = edge;
  return {
    sampleBytes,
    // A sample in several messages is of use when the last has come.
    samplesPerMessage: Math.max(1, samplesPerFrame(edge, batchSize)),
    depth: chunksPerSample(sampleBytes) > 1 ? depth : Math.max(depth, batchSize),
    megabytesPerSecond: machine.linkMegabytesPerSecond,
    cpuSecondsPerGigabyte: machine.linkCpuSecondsPerGigabyte,
  };
}
