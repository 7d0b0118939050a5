import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  augmentationSchema,
  layerSchema,
  type Module,
  type ModuleConfig,
  objectiveSchema,
} from '@greedy-infomax/crds';
import { readRunFile } from '../../operator/src/cli/run-file.ts';
import { planRun } from '../../operator/src/plan/run.ts';
import { openBatches } from '../../trainer/src/data/batches.ts';
import { openImageSubject } from '../../trainer/src/evaluate/images.ts';
import { type LabelledFeatures, probeAccuracy } from '../../trainer/src/evaluate/linear-probe.ts';
import { mean } from '../alternate.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { Replica, type Sharing } from './replica.ts';

/**
 * Compares what two trainers of a module learn from as many samples as one, by averaging rule:
 * `node bench/averaging/run.ts [--samples N] [--seeds N] [--record]`. Handwritten digits, two
 * modules. The trainers alternate in one process, so that the machine's speed has no effect. As in
 * a run they do not wait for each other: one trainer publishes half a period after the other.
 */

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '32000' },
    seeds: { type: 'string', default: '2' },
    record: { type: 'boolean', default: false },
  },
});
const samples = Number(values.samples);
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i + 2);

interface Variant extends Sharing {
  name: string;
  batchSize?: number;
  learningRate?: number;
}

const EVERY_50 = { everySteps: 50 };

const VARIANTS: readonly Variant[] = [
  { name: 'one trainer', replicas: 1 },
  { name: 'one trainer, batch 64', replicas: 1, batchSize: 64 },
  {
    name: 'one trainer, batch 64, twice the learning rate',
    replicas: 1,
    batchSize: 64,
    learningRate: 2e-3,
  },
  { name: 'two, never averaged', replicas: 2, averaging: { everySteps: 1_000_000 } },
  { name: 'two, average every 50, read late', replicas: 2, averaging: EVERY_50, late: true },
  { name: 'two, average every 10', replicas: 2, averaging: { everySteps: 10 } },
  { name: 'two, average every 50', replicas: 2, averaging: EVERY_50 },
  { name: 'two, average every 200', replicas: 2, averaging: { everySteps: 200 } },
  {
    name: 'two, average every 50, moments too',
    replicas: 2,
    averaging: EVERY_50,
    moments: true,
  },
  {
    name: 'two, average every 50, twice the learning rate',
    replicas: 2,
    averaging: EVERY_50,
    learningRate: 2e-3,
  },
  { name: 'two, elastic every 50', replicas: 2, averaging: { rule: 'elastic', ...EVERY_50 } },
  { name: 'two, diloco every 50', replicas: 2, averaging: { rule: 'diloco', ...EVERY_50 } },
];

interface Outcome {
  /** Accuracy by module, 0 to 1; of the first trainer. */
  accuracies: number[];
  /** Mean loss of the last module's last hundred steps. */
  loss: number;
}

const where = machine();
const rows: { name: string; accuracy: number[]; loss: number }[] = [];
for (const variant of VARIANTS) {
  const outcomes: Outcome[] = [];
  for (const seed of seeds) outcomes.push(await train(variant, seed));
  const modules = outcomes[0]?.accuracies.length ?? 0;
  rows.push({
    name: variant.name,
    accuracy: Array.from({ length: modules }, (_, i) =>
      mean(outcomes.map(({ accuracies }) => accuracies[i] as number)),
    ),
    loss: mean(outcomes.map(({ loss }) => loss)),
  });
  console.log(cells(rows.at(-1) as (typeof rows)[number]).join('  '));
}

const result = {
  name: 'averaging',
  title: 'Two trainers of a module and one',
  machine: where,
  method: `Handwritten digits, two small modules (16 and 32 channels, objective and optimizer of examples/digits.yaml), ${samples} samples a module over all its trainers, mean over ${seeds.length} seeds. Accuracy of a linear probe of the first trainer.`,
  tables: [{ columns: ['trainers', 'edges', 'strokes', 'loss of strokes'], rows: rows.map(cells) }],
  notes: [],
  ratios: {},
};
console.log(`\n${result.tables.map(markdown).join('\n')}`);
if (values.record) record(result);

function cells({ name, accuracy, loss }: (typeof rows)[number]): string[] {
  return [name, ...accuracy.map((x) => `${(100 * x).toFixed(1)} %`), loss.toFixed(3)];
}

function configsOf({ batchSize, learningRate }: Variant, seed: number): ModuleConfig[] {
  const run = readRunFile(join(import.meta.dirname, '../../examples/digits.yaml'));
  const { spec } = run;
  const [edges, strokes] = spec.modules as [Module, Module];
  const changed = {
    ...spec,
    // A grid of 5 x 5 patches.
    augmentation: augmentationSchema.parse({ pad: 0, crop: 24 }),
    objective: objectiveSchema.parse({ ...spec.objective, predictionSteps: 3 }),
    modules: [
      { ...edges, layers: [layerSchema.parse({ type: 'conv', channels: 16, stride: 2 })] },
      { ...strokes, layers: [layerSchema.parse({ type: 'residual', channels: 32, stride: 2 })] },
    ],
    optimizer: { ...spec.optimizer, learningRate: learningRate ?? spec.optimizer.learningRate },
    seed,
    batchSize: batchSize ?? spec.batchSize,
    training: { samples },
  };
  return planRun({ ...run, spec: changed }, { namespace: 'local', uid: 'bench' }).modules;
}

async function train(variant: Variant, seed: number): Promise<Outcome> {
  const configs = configsOf(variant, seed);
  const [first] = configs;
  if (first?.source.kind !== 'data')
    throw new RangeError('the first module must read the data set');
  const replicas = Array.from({ length: variant.replicas }, (_, replica) =>
    configs.map((config) => new Replica(config, replica, variant)),
  );
  const { batchSize, source } = first;
  const batches = await openBatches({ ...source, split: 'train', seed, batchSize, start: 0 });
  const losses: number[] = [];
  for (let trained = 0; trained < samples; ) {
    for (const chain of replicas) {
      let { bytes, labels } = await batches.next();
      for (const [i, module] of chain.entries()) {
        const others = replicas.flatMap((other) => (other === chain ? [] : (other[i] ?? [])));
        const { loss, activations } = module.step(bytes, labels);
        module.average(others);
        bytes = activations;
        if (i === chain.length - 1) losses.push(loss);
      }
      trained += batchSize;
    }
  }
  const [chain = []] = replicas;
  const subject = await openImageSubject(source);
  const weights = new Map(chain.map(({ config, weights }) => [config.name, weights]));
  const [training, test] = [
    (await subject.features(configs, weights, 'labelled')).get('class'),
    (await subject.features(configs, weights, 'test')).get('class'),
  ];
  const accuracies = configs.map(({ name, output, evaluation }) =>
    probeAccuracy(training?.get(name) as LabelledFeatures, test?.get(name) as LabelledFeatures, {
      channels: output[3],
      classes: 10,
      evaluation: { ...evaluation, epochs: 30 },
      seed,
    }),
  );
  for (const module of replicas.flat()) module.dispose();
  return { accuracies, loss: mean(losses.slice(-100)) };
}
