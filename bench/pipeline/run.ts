import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Precision } from '@greedy-infomax/crds';
import { readRunFile } from '../../operator/src/cli/run-file.ts';
import { planRun } from '../../operator/src/plan/run.ts';
import type { Forecast } from '../../operator/src/plan/simulate/pipeline.ts';
import { simulate } from '../../operator/src/plan/simulate/simulate.ts';
import { pipelineOf, type Stages, stagesSchema } from '../../operator/src/plan/simulate/stages.ts';
import { median, medianRatio } from '../alternate.ts';
import { machine } from '../machine.ts';
import { inPrecision, precisionsOf } from '../precisions.ts';
import { markdown, record, type Table } from '../results.ts';
import { peerModule } from '../step/cases.ts';
import { type Training, trainAsynchronously } from './asynchronous.ts';
import { type Described, writeRunFile } from './run-file.ts';

/**
 * Compares three digits modules in three asynchronous processes with one process that trains them
 * in sequence, with a PyTorch loop, and with the prediction of `gim plan --simulate`: `node
 * bench/pipeline/run.ts [--samples N] [--rounds N] [--pairs N] [--seconds S] [--precision
 * float32,bfloat16] [--cases N] [--no-peer] [--record]`. A ratio above 1: the run is faster. The
 * first case and the single process are measured in `pairs` rounds, all others in `rounds`. Without
 * --precision, bfloat16 is also measured if the machine multiplies it natively.
 */

const { values } = parseArgs({
  allowNegative: true,
  options: {
    samples: { type: 'string', default: '19200' },
    rounds: { type: 'string', default: '2' },
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    precision: { type: 'string' },
    cases: { type: 'string', default: '4' },
    peer: { type: 'boolean', default: true },
    record: { type: 'boolean', default: false },
  },
});
const samples = Number(values.samples);
const rounds = Number(values.rounds);
const pairs = Math.max(rounds, Number(values.pairs));
const threads = availableParallelism();
const precisions = precisionsOf(values.precision);

interface InTurn {
  samplesPerSecond: number;
  modules: Stages['modules'];
}
/** Results of the PyTorch loop: samples per second, CPU seconds per thousand samples. */
interface Peer {
  rate: number;
  cpu: number;
}
interface Peers {
  eager: Peer;
  compiled: Peer;
  version: string;
}
interface Case extends Described {
  name: string;
  /** True if all activations go through NATS, as on a cluster. */
  throughNats?: boolean;
  /** Module that takes `factor` times as long, by waiting. */
  slow?: { module: string; factor: number };
}

const OF_A_PRECISION: readonly Omit<Case, 'precision'>[] = [
  { name: 'dropOldest', whenFull: 'dropOldest', encoding: 'int8', samples },
  { name: 'through NATS', whenFull: 'dropOldest', encoding: 'int8', samples, throughNats: true },
  { name: 'block', whenFull: 'block', encoding: 'int8', samples },
  {
    name: 'block, second module 4 times as slow',
    whenFull: 'block',
    encoding: 'int8',
    samples: samples / 4,
    slow: { module: 'strokes', factor: 4 },
  },
];
const CASES = precisions.flatMap((precision) =>
  OF_A_PRECISION.slice(0, Number(values.cases)).map((one): Case => ({ ...one, precision })),
);

/** CPU seconds for a GB of activations through shared memory, as measured by bench/edge. */
const MEMORY_CPU = 1;

const where = machine();
const folder = mkdtempSync(join(tmpdir(), 'bench-pipeline-'));
const inTurn = new Map(precisions.map((precision) => [precision, [] as InTurn[]]));
const runs = new Map(CASES.map((one) => [one, [] as { real: Training; forecast: Forecast }[]]));
const peers = new Map(precisions.map((precision) => [precision, [] as Peers[]]));
for (let round = 0; round < pairs; round += 1) {
  for (const precision of precisions) {
    const stages = trainInTurn(precision);
    inTurn.get(precision)?.push(stages);
    const cases = CASES.filter((each) => each.precision === precision);
    for (const one of round < rounds ? cases : cases.slice(0, 1)) {
      runs.get(one)?.push({ real: await trainIn(one), forecast: forecastOf(one, stages) });
    }
    if (values.peer && round < rounds) peers.get(precision)?.push(trainPeer(precision));
  }
  console.log(`round ${round + 1} of ${pairs}`);
}

const ratesOf = (one: Case) => (runs.get(one) ?? []).map(({ real }) => real.samplesPerSecond);
const rate = (one: Case) => median(ratesOf(one));
const ratios: Record<string, number> = {};
const tables = [...precisions.map(comparison), validation(), scaling()];
rmSync(folder, { recursive: true });
const result = {
  name: 'pipeline',
  title: 'A run of three modules',
  machine: `${where}; PyTorch ${peers.get('float32')?.[0]?.version ?? 'not measured'}`,
  method: `The digits example with ${samples} samples for each module, a quarter of them with a slow module, ${rounds} rounds in turns, medians; of three processes and one in turn ${pairs} rounds, of which each is one after the other, and the median of the ratios. In turn: one process, each batch through all modules, all cores, nothing encoded for a server. PyTorch: the same, in one process, in bfloat16 with its autocast. Rates are of the training alone, from when the last module has made its first five steps.`,
  tables,
  notes: [
    'The simulator is given the times that the process in turn has measured, two lines above, and nothing of the runs that it predicts.',
    'Activations go through memory that the processes share (decision 16); through NATS: all of them through the server, as on a cluster. A sample of the digits is 150 kB on its two edges. Counted by thread in three rounds beside these, in float32: of 108 ms that two cores have for a step of all three modules in three processes, TensorFlow takes 97, the threads that send and receive 4.0, the main threads 3.2, the server 1.0, V8 0.4, and 0.8 are idle; in turn, of 97 ms TensorFlow takes 91 and the main thread 1.5, and 3.5 are idle. TensorFlow takes longer in three processes, as two batches are in the caches at a time, and none of one module lies where one of another has just been.',
    'Threads that compute keep to a core each, the first module to one and the others to the other (decision 17), and take the parts of a batch by turns (decision 14). The process in turn frees activations at once, as trainers do: since then it is 5 to 14 % faster than in earlier results, of which the ratios to it were higher than they would be now. What did not help: two threads for all modules or for two of three, longer slices of the scheduler, whole processes tied to cores, threads that send and receive as batch tasks, one thread for the collectors of V8, trainers that take turns a step at a time, an allocator that keeps what is freed (glibc.malloc.trim_threshold, mmap_threshold).',
  ],
  ratios,
};
console.log(tables.map(markdown).join('\n\n'));
if (values.record) record(result);

function trainInTurn(precision: Precision): InTurn {
  const file = plainFileOf(precision);
  const script = join(import.meta.dirname, 'in-turn.ts');
  const said = execFileSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, '--file', file],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return JSON.parse(said.trim().split('\n').at(-1) ?? '') as InTurn;
}

async function trainIn(one: Case): Promise<Training> {
  const out = join(folder, 'run');
  rmSync(out, { recursive: true, force: true });
  const slowdown = one.slow && `${one.slow.module}:${one.slow.factor}`;
  return trainAsynchronously(fileOf(one), out, one.samples, {
    slowdown,
    sharedMemory: !one.throughNats,
  });
}

function forecastOf(one: Case, { modules }: InTurn, cores = threads): Forecast {
  const { slow, throughNats } = one;
  const run = readRunFile(fileOf(one));
  const plan = planRun(run, { namespace: 'local', uid: 'bench' });
  const stages = stagesSchema.parse({
    cores,
    modules,
    ...(!throughNats && { linkCpuSecondsPerGigabyte: MEMORY_CPU }),
  });
  const slowed = stages.modules[slow?.module ?? ''];
  if (slow && slowed) slowed.slowdown = slow.factor;
  return simulate(pipelineOf(plan.modules, stages, one.samples));
}

function trainPeer(precision: Precision) {
  const python = execFileSync(join(import.meta.dirname, '../step/peer.sh'), { encoding: 'utf8' });
  const plan = planRun(readRunFile(plainFileOf(precision)), {
    namespace: 'local',
    uid: 'bench',
  });
  const said = execFileSync(
    python.trim(),
    [
      join(import.meta.dirname, 'reference.py'),
      '--threads',
      String(threads),
      '--seconds',
      values.seconds,
      '--precision',
      precision,
    ],
    { input: JSON.stringify(plan.modules.map(peerModule)), encoding: 'utf8' },
  );
  return JSON.parse(said) as Peers;
}

function fileOf(described: Described): string {
  const { whenFull, encoding, precision } = described;
  const file = join(folder, `${whenFull}-${encoding}-${precision}.yaml`);
  writeRunFile(file, described);
  return file;
}

function plainFileOf(precision: Precision): string {
  return fileOf({ whenFull: 'dropOldest', encoding: 'int8', precision, samples });
}

function comparison(precision: Precision): Table {
  const [first, ...others] = CASES.filter((one) => one.precision === precision) as [Case];
  const own = rate(first);
  const whole = others.find(({ throughNats }) => throughNats);
  const turns = (inTurn.get(precision) ?? []).map(({ samplesPerSecond }) => samplesPerSecond);
  const toTurn = medianRatio(ratesOf(first), turns);
  ratios[inPrecision('to in turn', precision)] = toTurn;
  if (whole) {
    ratios[inPrecision('through NATS, to in turn', precision)] = medianRatio(ratesOf(whole), turns);
  }
  const rows = [
    ['three processes', own.toFixed(0), '1.00'],
    ...(whole
      ? [['the same through NATS', rate(whole).toFixed(0), (own / rate(whole)).toFixed(2)]]
      : []),
    ['one process, in turn', median(turns).toFixed(0), toTurn.toFixed(2)],
  ];
  const peer = (of: Precision, way: 'eager' | 'compiled') =>
    median((peers.get(of) ?? []).map((each) => each[way].rate));
  if (values.peer) {
    const [eager, compiled] = [peer(precision, 'eager'), peer(precision, 'compiled')];
    ratios[inPrecision('to PyTorch', precision)] = own / Math.max(eager, compiled);
    rows.push(['PyTorch, eager', eager.toFixed(0), (own / eager).toFixed(2)]);
    rows.push(['PyTorch, compiled', compiled.toFixed(0), (own / compiled).toFixed(2)]);
    if (precision !== 'float32' && precisions.includes('float32')) {
      const full = Math.max(peer('float32', 'eager'), peer('float32', 'compiled'));
      ratios[`${precision} to PyTorch in float32`] = own / full;
      rows.push(['PyTorch in float32', full.toFixed(0), (own / full).toFixed(2)]);
    }
  }
  return { columns: [precision, 'samples/s', 'three processes to it'], rows };
}

function validation(): Table {
  return {
    columns: ['run', 'measured, samples/s', 'simulated', 'simulated by measured', 'bottleneck'],
    rows: CASES.map((one) => {
      const pairs = runs.get(one) ?? [];
      const simulated = median(pairs.map(({ forecast }) => forecast.samplesPerSecond));
      const by = median(
        pairs.map(({ real, forecast }) => forecast.samplesPerSecond / real.samplesPerSecond),
      );
      const name = inPrecision(one.name, one.precision);
      ratios[`simulated: ${name}`] = by;
      const bottleneck = pairs[0]?.forecast.bottleneck ?? '';
      return [name, rate(one).toFixed(0), simulated.toFixed(0), by.toFixed(2), bottleneck];
    }),
  };
}

/** Predicted effect of more cores; step times are those of this machine's cores. */
function scaling(): Table {
  const [first] = CASES as [Case];
  const stages = inTurn.get(first.precision)?.at(-1) as InTurn;
  return {
    columns: ['cores', 'simulated samples/s', 'bottleneck'],
    rows: [1, 2, 3, 4, 6, 8].map((cores) => {
      const { samplesPerSecond, bottleneck } = forecastOf(first, stages, cores);
      return [String(cores), samplesPerSecond.toFixed(0), bottleneck];
    }),
  };
}
