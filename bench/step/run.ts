import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { alternate, geometricMean, median, medianRatio } from '../alternate.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { type Case, casesOf } from './cases.ts';
import { Peer } from './peer.ts';

/**
 * Times one training step of every module against the same step in PyTorch, eager and compiled, in turns:
 * `node bench/step/run.ts [--only FAMILY,…] [--threads N] [--rounds N] [--seconds S] [--record]`.
 * A ratio above 1 means that the trainer is faster than the faster of the two.
 */

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    record: { type: 'boolean', default: false },
  },
});
const threads = Number(values.threads);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

// TensorFlow reads these when it is loaded.
process.env.TF_NUM_INTRAOP_THREADS = values.threads;
process.env.TF_NUM_INTEROP_THREADS = values.threads;
const { OwnStep } = await import('./own.ts');
const { tensorflowVersion } = await import('../../trainer/src/tf.ts');

interface Row {
  family: string;
  name: string;
  own: number;
  eager: number;
  compiled: number;
  ratio: number;
  /** The same of the time of all processors. */
  cpuRatio: number;
}

const where = machine();
const peer = await Peer.start(threads);
const rows: Row[] = [];
for (const subject of casesOf(values.only?.split(','))) {
  const row = await measure(subject);
  rows.push(row);
  console.log(cells(row).join('  '));
}
const peerVersion = peer.version;
await peer.stop();

const NOTES = [
  'PyTorch runs with OMP_WAIT_POLICY=PASSIVE and flushes denormals: its threads would else wait by spinning, which takes many times as long as soon as another process wants a core.',
  'Nearly all of the step of a module with convolutions is oneDNN, the library that PyTorch calls too; what differs is the rest.',
  'What did not help: BiasAdd for the bias of a convolution, for TensorFlow to fuse. Its remapper fails on the graph, and the step became slower.',
];
const COLUMNS = [
  'module',
  'trainer, ms',
  'PyTorch eager, ms',
  'compiled, ms',
  'ratio to the faster',
  'in CPU time',
];
const result = {
  name: 'step',
  title: `Step of a module, ${threads} threads`,
  machine: `${where}; TensorFlow ${tensorflowVersion}, PyTorch ${peerVersion}`,
  method: `Forward, backward, Adam and encoded output against the same module in PyTorch, which neither decodes nor encodes; channels-last for images. Median of ${rounds} rounds in turns of ${seconds} s. A ratio above 1: the trainer is faster.`,
  tables: [{ columns: COLUMNS, rows: rows.map(cells) }],
  notes: [summary(), ...NOTES],
  ratios: Object.fromEntries(rows.map(({ family, name, ratio }) => [`${family} ${name}`, ratio])),
};
console.log(`\n${result.tables.map(markdown).join('\n')}\n\n${summary()}`);
if (values.record) record(result);

/** The same module in both; the first turn of each, which compiles and warms up, does not count. */
async function measure({ family, config }: Case): Promise<Row> {
  const own = new OwnStep(config);
  const { parameters } = await peer.build(config);
  if (parameters !== own.parameters) {
    throw new Error(
      `${family} ${config.name} has ${own.parameters} parameters, and ${parameters} in PyTorch: they are not the same module`,
    );
  }
  const competitors = {
    own: () => own.run(seconds),
    eager: () => peer.run('eager', seconds),
    compiled: () => peer.run('compiled', seconds),
  };
  const first = await alternate(competitors, 1);
  checkLosses(`${family} ${config.name}`, Object.values(first).flat());
  const turns = await alternate(competitors, rounds);
  own.dispose();
  const ms = {
    own: turns.own.map((turn) => median(turn.ms)),
    eager: turns.eager.map((turn) => median(turn.ms)),
    compiled: turns.compiled.map((turn) => median(turn.ms)),
  };
  const faster = median(ms.eager) < median(ms.compiled) ? 'eager' : 'compiled';
  const cpu = (competitor: keyof typeof turns) => turns[competitor].map(({ cpuMs }) => cpuMs);
  return {
    family,
    name: config.name,
    own: median(ms.own),
    eager: median(ms.eager),
    compiled: median(ms.compiled),
    ratio: medianRatio(ms[faster], ms.own),
    cpuRatio: medianRatio(cpu(faster), cpu('own')),
  };
}

/** Both draw their weights from one distribution, so that their first losses are near each other. */
function checkLosses(name: string, turns: { loss: number }[]): void {
  const losses = turns.map(({ loss }) => loss);
  if (Math.max(...losses) > 1.2 * Math.min(...losses) || losses.some(Number.isNaN)) {
    throw new Error(`${name} begins with the losses ${losses.join(', ')}: not the same step`);
  }
}

function cells({ family, name, own, eager, compiled, ratio, cpuRatio }: Row): string[] {
  const figures = [own, eager, compiled].map((ms) => ms.toFixed(ms < 10 ? 2 : 0));
  return [`${family} ${name}`, ...figures, ratio.toFixed(2), cpuRatio.toFixed(2)];
}

function summary(): string {
  const mean = (chosen: Row[]) => geometricMean(chosen.map(({ ratio }) => ratio)).toFixed(2);
  const families = Object.entries(Object.groupBy(rows, ({ family }) => family));
  return `Geometric mean: ${mean(rows)} (${families.map(([name, chosen]) => `${name} ${mean(chosen ?? [])}`).join(', ')}).`;
}
