import { isAbsolute, resolve } from 'node:path';
import {
  type Data,
  domainOf,
  type Edge,
  type Module,
  type ModuleConfig,
  objectiveFor,
  outputShape,
  type Run,
  type RunKey,
  samplesOf,
  shardsOf,
  trainingImages,
} from '@greedy-infomax/crds';
import { budgetOf, checkBatchFits, PlanError } from './budget.ts';
import { weightBytes } from './sizing.ts';
import {
  type BucketPlan,
  planBucket,
  planEdge,
  planState,
  planStream,
  type StatePlan,
  type StreamPlan,
} from './stream.ts';

export type { BucketPlan, StatePlan, StreamPlan } from './stream.ts';
export { PlanError };

/** All that has to be there for a run: a configuration for each trainer and a stream for each edge. */
export interface RunPlan {
  run: RunKey;
  /** In the order of the network. */
  modules: ModuleConfig[];
  /** One between each module and the next. */
  streams: StreamPlan[];
  state: StatePlan;
  /** Bucket of the checkpoints, if the object store keeps them. */
  bucket: BucketPlan | null;
}

export interface PlanOptions {
  namespace: string;
  /** Tells the run from an earlier one of the same name. */
  uid: string;
  /** Samples that module 0 draws from; a budget in epochs needs it. Default: those of the data set's release. */
  dataSetSize?: number;
  /** Trainers of a module. Default: what the run file says, else 1. */
  replicas?: (module: string) => number;
  /** True if `checkpoints.storage` decides where checkpoints are kept; on one machine a folder keeps them. */
  storage?: boolean;
  /** Folder that relative data paths start from. */
  baseDir?: string;
}

/** Plans a run that `checkRun` has found right. Throws a `PlanError` when the data set does not fit it. */
export function planRun(run: Run, options: PlanOptions): RunPlan {
  const { spec } = run;
  const key: RunKey = { namespace: options.namespace, name: run.metadata.name };
  const samples = samplesOf({ ...spec, data: absolute(spec.data, options.baseDir) });
  if (!samples)
    throw new PlanError(`the run lacks what ${spec.data.format} is cut into samples by`);
  const { grid, patches } = samples;
  let { shape } = samples;
  let source: ModuleConfig['source'] = samples.source;
  const dataSetSize =
    options.dataSetSize ?? trainingImages(spec.data, spec.modules[0]?.objective ?? spec.objective);
  checkBatchFits(spec.modules[0]?.batchSize ?? spec.batchSize, dataSetSize);
  const { atEnd, everySamples, resources, ...probeSettings } = spec.evaluation;
  const { everySeconds, keep, retain = false } = spec.checkpoints;
  const inBucket = options.storage === true && spec.checkpoints.storage?.objectStore !== undefined;
  const modules: ModuleConfig[] = [];
  const streams: StreamPlan[] = [];
  for (const [index, module] of spec.modules.entries()) {
    const batchSize = module.batchSize ?? spec.batchSize;
    const input = shape;
    shape = outputShape(module.layers, input);
    const next = spec.modules[index + 1];
    const sink = next
      ? planEdge({ ...key, uid: options.uid }, module, next, spec.buffers, patches, shape)
      : null;
    modules.push({
      run: key,
      uid: options.uid,
      name: module.name,
      index,
      seed: spec.seed,
      source,
      grid,
      input: [patches, ...input],
      output: [patches, ...shape],
      layers: module.layers,
      objective: objectiveFor(module.objective ?? spec.objective, domainOf(spec.data)),
      optimizer: module.optimizer ?? spec.optimizer,
      precision: spec.precision,
      batchSize,
      budget: budgetOf(spec.training, batchSize, dataSetSize),
      order: spec.order,
      averaging: spec.averaging,
      sink,
      checkpoints: { everySeconds, keep, ...(inBucket && { storage: { objectStore: {} } }) },
      evaluation: probeSettings,
    });
    if (sink && next) {
      checkShares(next, sink);
      streams.push(planStream(sink, batchSize));
      source = { kind: 'edge', edge: sink };
    }
  }
  const replicas =
    options.replicas ??
    ((name: string) => spec.modules.find((module) => module.name === name)?.replicas ?? 1);
  const state = planState(
    { ...key, uid: options.uid },
    modules.map((module) => ({
      replicas: replicas(module.name),
      weightBytes: weightBytes(module),
    })),
  );
  const bucket = inBucket ? planBucket({ ...key, uid: options.uid }, retain) : null;
  return { run: key, modules, streams, state, bucket };
}

/** The parts of a large sample go to one of the edge's shares; a trainer without a share would idle. */
function checkShares({ name, replicas = 1 }: Module, { sampleBytes }: Edge): void {
  const shares = shardsOf(sampleBytes);
  if (shares === 1 || replicas <= shares) return;
  throw new PlanError(
    `module ${name} has ${replicas} replicas, but samples of ${sampleBytes} bytes can be shared by ${shares}; make replicas at most ${shares}`,
  );
}

const absolute = (data: Data, baseDir: string | undefined): Data =>
  data.path === undefined || baseDir === undefined || isAbsolute(data.path)
    ? data
    : { ...data, path: resolve(baseDir, data.path) };
