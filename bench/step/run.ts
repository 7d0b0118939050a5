import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { Precision } from '@greedy-infomax/crds';
import { threadsEnv } from '../../trainer/src/threads.ts';
import { alternate, geometricMean, median, medianRatio } from '../alternate.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { type Case, casesOf } from './cases.ts';
import type { Turn } from './own.ts';
import { Peer, type PeerMethod } from './peer.ts';

/**
 * Times one training step of every module against the same step in PyTorch, eager and compiled,
 * alternating: `node bench/step/run.ts [--only FAMILY,…] [--precision float32,bfloat16] [--eager]
 * [--threads N] [--rounds N] [--seconds S] [--record]`. A ratio above 1 means that the trainer is
 * faster than the faster of the two; --eager omits the compiled one. Without --precision, bfloat16
 * is also measured if the machine multiplies it natively. After `make setup DEVICE=gpu` both run on
 * the GPU, at the batch sizes of the run files.
 */

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    precision: { type: 'string' },
    eager: { type: 'boolean', default: false },
    threads: { type: 'string', default: String(availableParallelism()) },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    record: { type: 'boolean', default: false },
  },
});
const threads = Number(values.threads);
const METHODS: PeerMethod[] = values.eager ? ['eager'] : ['eager', 'compiled'];
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

const only = values.only?.split(',');
const smallest = Math.min(...casesOf(only).map(({ config }) => config.batchSize));
Object.assign(process.env, threadsEnv(threads, smallest)); // Set before TensorFlow is loaded.
const { OwnStep } = await import('./own.ts');
const { LargeProduct, operationsOfStep } = await import('./arithmetic.ts');
const { inPrecision, precisionsOf } = await import('../precisions.ts');
const { backend, tensorflowVersion } = await import('../../trainer/src/tf.ts');

interface Row {
  precision: Precision;
  family: string;
  name: string;
  own: number;
  /** Ratios by method. */
  peer: number[];
  ratio: number;
  /** Ratios of CPU time. */
  cpuRatio: number;
  /** Operations of the matmuls and convolutions in a step. */
  operations: number;
  /** Share of the step that they would take at the rate of a large matmul. */
  ofPeak: number;
  /** Ratio if they ran at that rate and everything else took no time. */
  ratioAtPeak: number;
}

const gpu = backend.binding.isUsingGpuDevice();
const where = gpu ? `${gpuName()}; ${machine()}` : machine();
const peer = await Peer.start(gpu ? 'cuda' : 'cpu', threads);
const rows: Row[] = [];
const precisions = precisionsOf(values.precision);
for (const precision of precisions) {
  console.log(`\n${precision}`);
  const product = new LargeProduct(precision);
  for (const subject of casesOf(only, gpu)) {
    const row = await measure(subject, precision, product);
    rows.push(row);
    console.log(cells(row).join('  '));
  }
  product.dispose();
}
const peerVersion = peer.version;
await peer.stop();

const GPU_NOTES = [
  'The trainer takes its batch from the memory of the processor and hands its activations back there, as bytes; the batch of PyTorch lies on the GPU from the start, and nothing but the loss leaves it.',
  'TF32 in convolutions, as both have it by default; cuDNN chooses its algorithms by measurement in both.',
];
const CPU_NOTES = [
  'PyTorch runs with OMP_WAIT_POLICY=PASSIVE and flushes denormals: its threads would else wait by spinning, which takes many times as long as soon as another process wants a core.',
  'In bfloat16 the trainer takes its products of bfloat16, and PyTorch its autocast to it.',
  'Nearly all of the step of a module with convolutions is oneDNN, the library that PyTorch calls too; what differs is that each thread takes parts of the batch through the encoder by itself, one after another, whose maps the caches hold (decision 14), the rest of the step, convolutions with few outputs and in bfloat16 the gradients of many kernels, which the trainer takes as products of matrices (decision 12), and the scores of negatives, of copies that the caches hold, with sparse products as gradients (decision 13).',
  'What did not help: BiasAdd for all biases: where a relu of a sum is needed beside the sum, TensorFlow fails to fuse them and gives up all its fusions. To hide these relus from it behind reshapes: no gain. XLA for all of the graph: digits 1.5 to 2 times as slow. oneDNN with products of bfloat16 and everything between them in float32 (ONEDNN_DEFAULT_FPMATH_MODE): its gradients of weights stay in float32, and others became slower. Padding as an attribute of a strided convolution instead of a copy: no gain, and in bfloat16 seven times as slow, since oneDNN then does not take it. A convolution with bias and shortcut in one operation of oneDNN (_FusedConv2D): as fast as what TensorFlow makes of the three by itself. In float32, gradients of kernels as products for their places: slower for most, and where they are faster alone, of no gain in the step. Positives scored with their negatives, in one product: no gain.',
];
const COLUMNS = [
  'trainer, ms',
  ...METHODS.map((method) => `PyTorch ${method}, ms`),
  'ratio to the faster',
  'in CPU time',
  'GFLOP',
  'of the peak',
  'ratio at the peak',
];
const PEAK_NOTE =
  'GFLOP: additions and multiplications of the convolutions and the products of matrices that the trainer asks TensorFlow for in a step. Of the peak: how fast it makes them, by how fast it makes those of products of large matrices, one on each thread, in the same round. The ratio at the peak is what the ratio would be if a step made them at that rate, and nothing else took any time: no step with these operations is further ahead of PyTorch.';
const result = {
  name: gpu ? 'step-gpu' : 'step',
  title: gpu ? 'Step of a module on a GPU' : `Step of a module, ${threads} threads`,
  machine: `${where}; TensorFlow ${tensorflowVersion}, PyTorch ${peerVersion}`,
  method: `Forward, backward, Adam and encoded output against the same module in PyTorch, which neither decodes nor encodes; channels-last for images. Median of ${rounds} rounds in turns of ${seconds} s. A ratio above 1: the trainer is faster.`,
  tables: precisions.map((precision) => ({
    columns: [precision, ...COLUMNS],
    rows: rows.filter((row) => row.precision === precision).map(cells),
  })),
  notes: [...precisions.map(summary), PEAK_NOTE, ...(gpu ? GPU_NOTES : CPU_NOTES)],
  ratios: Object.fromEntries(
    rows.map(({ precision, family, name, ratio }) => [
      inPrecision(`${family} ${name}`, precision),
      ratio,
    ]),
  ),
};
console.log(`\n${result.tables.map(markdown).join('\n')}\n\n${precisions.map(summary).join('\n')}`);
if (values.record) record(result);

/**
 * Trains the same module in both; the first step, which compiles, and one warm-up round are
 * excluded.
 */
async function measure(
  { family, config: described }: Case,
  precision: Precision,
  product: InstanceType<typeof LargeProduct>,
): Promise<Row> {
  const config = { ...described, precision };
  const own = new OwnStep(config);
  const { parameters } = await peer.build(config);
  if (parameters !== own.parameters) {
    throw new Error(
      `${family} ${config.name} has ${own.parameters} parameters, and ${parameters} in PyTorch: they are not the same module`,
    );
  }
  const competitors = (turn: number): Record<string, () => Turn | Promise<Turn>> => ({
    own: () => own.run(turn),
    ...Object.fromEntries(METHODS.map((method) => [method, () => peer.run(method, turn)])),
  });
  const first = await alternate(competitors(0), 1);
  checkLosses(`${family} ${config.name}`, Object.values(first).flat());
  await alternate(competitors(seconds), 1);
  const all = { ...competitors(seconds), product: () => product.run(seconds / 2) };
  const turns: Record<string, Turn[]> = await alternate(all, rounds);
  own.dispose();
  const ms = (competitor: string) => (turns[competitor] ?? []).map((turn) => median(turn.ms));
  const cpu = (competitor: string) => (turns[competitor] ?? []).map(({ cpuMs }) => cpuMs);
  const times = METHODS.map((method) => ({ method, ms: median(ms(method)) }));
  const [faster] = times.toSorted((a, b) => a.ms - b.ms) as [(typeof times)[number]];
  const operations = operationsOfStep(config);
  /** Time of the step's operations at the rate of the large matmul. */
  const leastMs = ms('product').map((each) => (each * operations) / product.operations);
  return {
    precision,
    family,
    name: config.name,
    own: median(ms('own')),
    peer: times.map((time) => time.ms),
    ratio: medianRatio(ms(faster.method), ms('own')),
    cpuRatio: medianRatio(cpu(faster.method), cpu('own')),
    operations,
    ofPeak: medianRatio(leastMs, ms('own')),
    ratioAtPeak: medianRatio(ms(faster.method), leastMs),
  };
}

/** Both draw weights from the same distribution, so that their initial losses are close. */
function checkLosses(name: string, turns: { loss: number }[]): void {
  const losses = turns.map(({ loss }) => loss);
  if (Math.max(...losses) > 1.2 * Math.min(...losses) || losses.some(Number.isNaN)) {
    throw new Error(`${name} begins with the losses ${losses.join(', ')}: the steps are not equal`);
  }
}

function gpuName(): string {
  const [first] = execFileSync('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'], {
    encoding: 'utf8',
  }).split('\n');
  return first as string;
}

function cells(row: Row): string[] {
  const { family, name, own, peer, operations } = row;
  return [
    `${family} ${name}`,
    ...[own, ...peer].map((ms) => ms.toFixed(ms < 10 ? 2 : 0)),
    ...[row.ratio, row.cpuRatio, operations / 1e9, row.ofPeak, row.ratioAtPeak].map((figure) =>
      figure.toFixed(2),
    ),
  ];
}

function summary(precision: Precision): string {
  const of = rows.filter((row) => row.precision === precision);
  const atPeak = of.map(({ family, ratioAtPeak }) => ({ family, ratio: ratioAtPeak }));
  const result = `Geometric mean in ${precision}: ${byFamily(of)}. At the peak: ${byFamily(atPeak)}.`;
  if (precision === 'float32') return result;
  /** Times in float32, relative to the trainer's own. */
  const gains = (full: (row: Row) => number) =>
    of.flatMap(({ family, name, own }) => {
      const before = rows.find(
        (row) => row.precision === 'float32' && row.family === family && row.name === name,
      );
      return before ? [{ family, ratio: full(before) / own }] : [];
    });
  const toItself = gains(({ own }) => own);
  if (toItself.length === 0) return result;
  const toPeer = gains(({ peer }) => Math.min(...peer));
  return `${result} To PyTorch in float32: ${byFamily(toPeer)}. To the trainer itself in float32: ${byFamily(toItself)}.`;
}

/** Geometric mean of all modules, and of each family. */
function byFamily(ratios: readonly Pick<Row, 'family' | 'ratio'>[]): string {
  const meanOf = (chosen: typeof ratios) =>
    geometricMean(chosen.map(({ ratio }) => ratio)).toFixed(2);
  const families = Object.entries(Object.groupBy(ratios, ({ family }) => family));
  return `${meanOf(ratios)} (${families.map(([name, chosen = []]) => `${name} ${meanOf(chosen)}`).join(', ')})`;
}
