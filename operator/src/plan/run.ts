import { isAbsolute, resolve } from 'node:path';
import {
  type Data,
  gridSize,
  imageChannels,
  type ModuleConfig,
  outputShape,
  type PatchShape,
  type Run,
  type RunKey,
} from '@greedy-infomax/crds';
import { budgetOf, checkBatchFits } from './budget.ts';
import { planEdge } from './edge.ts';
import { planStream, type StreamPlan } from './stream.ts';

export { PlanError } from './errors.ts';
export type { StreamPlan } from './stream.ts';

/** All that has to be there for a run: a configuration for each trainer and a stream for each edge. */
export interface RunPlan {
  run: RunKey;
  /** In the order of the network. */
  modules: ModuleConfig[];
  /** One between each module and the next. */
  streams: StreamPlan[];
}

export interface PlanOptions {
  namespace: string;
  /** Tells the run from an earlier one of the same name. */
  uid: string;
  /** Samples that module 0 draws from; needed for a budget in epochs. */
  dataSetSize?: number;
  /** What a relative data path is relative to. */
  baseDir?: string;
}

/** Plans a run that `checkRun` has found right. Throws a `PlanError` when the data set does not fit it. */
export function planRun(run: Run, options: PlanOptions): RunPlan {
  const { spec } = run;
  const key: RunKey = { namespace: options.namespace, name: run.metadata.name };
  const rows = gridSize(spec.augmentation, spec.patches);
  const patches = rows * rows;
  let shape: PatchShape = [
    spec.patches.size,
    spec.patches.size,
    imageChannels(spec.data, spec.augmentation),
  ];
  let source: ModuleConfig['source'] = {
    kind: 'data',
    data: absolute(spec.data, options.baseDir),
    augmentation: spec.augmentation,
    patches: spec.patches,
  };
  checkBatchFits(spec.modules[0]?.batchSize ?? spec.batchSize, options.dataSetSize);
  const modules: ModuleConfig[] = [];
  const streams: StreamPlan[] = [];
  for (const [index, module] of spec.modules.entries()) {
    const batchSize = module.batchSize ?? spec.batchSize;
    const input = shape;
    shape = outputShape(module.layers, input);
    const next = spec.modules[index + 1];
    const sink = next ? planEdge(key, module.name, next, spec.buffers, patches, shape) : null;
    modules.push({
      run: key,
      uid: options.uid,
      name: module.name,
      index,
      seed: spec.seed,
      source,
      grid: [rows, rows],
      input: [patches, ...input],
      output: [patches, ...shape],
      layers: module.layers,
      objective: module.objective ?? spec.objective,
      optimizer: module.optimizer ?? spec.optimizer,
      batchSize,
      budget: budgetOf(spec.training, batchSize, options.dataSetSize),
      sink,
      checkpoints: { everySeconds: spec.checkpoints.everySeconds, keep: spec.checkpoints.keep },
      evaluation: spec.evaluation,
    });
    if (sink && next) {
      streams.push(planStream(sink, batchSize));
      source = { kind: 'edge', edge: sink };
    }
  }
  return { run: key, modules, streams };
}

const absolute = (data: Data, baseDir: string | undefined): Data =>
  data.path === undefined || baseDir === undefined || isAbsolute(data.path)
    ? data
    : { ...data, path: resolve(baseDir, data.path) };
