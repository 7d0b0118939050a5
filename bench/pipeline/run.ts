import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readRunFile } from '../../operator/src/cli/run-file.ts';
import { planRun } from '../../operator/src/plan/run.ts';
import type { Forecast, Stage } from '../../operator/src/plan/simulate/pipeline.ts';
import { simulate } from '../../operator/src/plan/simulate/simulate.ts';
import { pipelineOf, type Stages, stagesSchema } from '../../operator/src/plan/simulate/stages.ts';
import { median } from '../alternate.ts';
import { machine } from '../machine.ts';
import { markdown, record, type Table } from '../results.ts';
import { peerModule } from '../step/cases.ts';
import { type Training, trainAsynchronously } from './asynchronous.ts';
import { writeRunFile } from './run-file.ts';

/**
 * Three digits modules asynchronous in three processes, against one process that trains them in turn, against a PyTorch
 * loop, and against what `gim plan --simulate` says: `node bench/pipeline/run.ts [--samples N] [--rounds N] [--seconds S]
 * [--cases N] [--no-peer] [--record]`. A ratio above 1: the run is faster.
 */

const { values } = parseArgs({
  allowNegative: true,
  options: {
    samples: { type: 'string', default: '6400' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '10' },
    cases: { type: 'string', default: '3' },
    peer: { type: 'boolean', default: true },
    record: { type: 'boolean', default: false },
  },
});
const samples = Number(values.samples);
const rounds = Number(values.rounds);
const threads = availableParallelism();

interface InTurn {
  samplesPerSecond: number;
  modules: Stages['modules'];
}
/** Of the PyTorch loop: samples a second, CPU seconds for a thousand. */
interface Peer {
  rate: number;
  cpu: number;
}
type Policy = 'dropOldest' | 'block';
interface Case {
  name: string;
  whenFull: Policy;
  /** Module that takes `factor` times as long, by waiting. */
  slow?: { module: string; factor: number };
}

const CASES = [
  { name: 'dropOldest', whenFull: 'dropOldest' },
  { name: 'block', whenFull: 'block' },
  {
    name: 'block, second module 4 times as slow',
    whenFull: 'block',
    slow: { module: 'strokes', factor: 4 },
  },
].slice(0, Number(values.cases)) as Case[];

const where = machine();
const folder = mkdtempSync(join(tmpdir(), 'bench-pipeline-'));
const inTurn: InTurn[] = [];
const runs = new Map(CASES.map((one) => [one, [] as { real: Training; forecast: Forecast }[]]));
const peers: { eager: Peer; compiled: Peer; version: string }[] = [];
for (let round = 0; round < rounds; round += 1) {
  const stages = trainInTurn();
  inTurn.push(stages);
  for (const one of CASES) {
    runs.get(one)?.push({ real: await trainIn(one), forecast: forecastOf(one, stages) });
  }
  if (values.peer) peers.push(trainPeer());
  console.log(`round ${round + 1} of ${rounds}`);
}

const rate = (one: Case) => median((runs.get(one) ?? []).map(({ real }) => real.samplesPerSecond));
const ratios: Record<string, number> = {};
const tables = [comparison(), validation(), scaling()];
rmSync(folder, { recursive: true });
const result = {
  name: 'pipeline',
  title: 'A run of three modules',
  machine: `${where}; PyTorch ${peers[0]?.version ?? 'not measured'}`,
  method: `The digits example with ${samples} samples for each module, ${rounds} rounds in turns, medians. In turn: one process, each batch through all modules, all cores, nothing encoded for a server. PyTorch: the same, in one process, the faster of eager and compiled. Rates are of the training alone, from the first step to the last of the last module.`,
  tables,
  notes: [
    'The simulator is given the times that the process in turn has measured, two lines above, and nothing of the runs that it predicts.',
  ],
  ratios,
};
console.log(tables.map(markdown).join('\n\n'));
if (values.record) record(result);

function trainInTurn(): InTurn {
  const file = fileOf('dropOldest');
  const script = join(import.meta.dirname, 'in-turn.ts');
  const said = execFileSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, '--file', file],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return JSON.parse(said.trim().split('\n').at(-1) ?? '') as InTurn;
}

async function trainIn({ whenFull, slow }: Case): Promise<Training> {
  const out = join(folder, 'run');
  rmSync(out, { recursive: true, force: true });
  const slowdown = slow && `${slow.module}:${slow.factor}`;
  return trainAsynchronously(fileOf(whenFull), out, samples, slowdown);
}

function forecastOf({ whenFull, slow }: Case, { modules }: InTurn, cores = threads): Forecast {
  const run = readRunFile(fileOf(whenFull));
  const plan = planRun(run, { namespace: 'local', uid: 'bench' });
  const pipeline = pipelineOf(plan.modules, stagesSchema.parse({ cores, modules }), samples);
  const stages = pipeline.stages.map((stage) =>
    slow?.module === stage.name ? slowedBy(stage, slow.factor) : stage,
  );
  return simulate({ ...pipeline, stages });
}

/** It waits for the rest, and computes no more than before. */
function slowedBy(stage: Stage, factor: number): Stage {
  return { ...stage, msPerBatch: factor * stage.msPerBatch, cores: stage.cores / factor };
}

function trainPeer() {
  const python = execFileSync(join(import.meta.dirname, '../step/peer.sh'), { encoding: 'utf8' });
  const plan = planRun(readRunFile(fileOf('dropOldest')), { namespace: 'local', uid: 'bench' });
  const said = execFileSync(
    python.trim(),
    [
      join(import.meta.dirname, 'reference.py'),
      '--threads',
      String(threads),
      '--seconds',
      values.seconds,
    ],
    { input: JSON.stringify(plan.modules.map(peerModule)), encoding: 'utf8' },
  );
  return JSON.parse(said) as { eager: Peer; compiled: Peer; version: string };
}

function fileOf(whenFull: Policy): string {
  const file = join(folder, `${whenFull}.yaml`);
  writeRunFile(file, samples, whenFull);
  return file;
}

function comparison(): Table {
  const [first] = CASES as [Case];
  const own = rate(first);
  const turn = median(inTurn.map(({ samplesPerSecond }) => samplesPerSecond));
  ratios['to in turn'] = own / turn;
  const rows = [
    ['three processes', own.toFixed(0), '1.00'],
    ['one process, in turn', turn.toFixed(0), (own / turn).toFixed(2)],
  ];
  if (peers.length > 0) {
    const eager = median(peers.map((peer) => peer.eager.rate));
    const compiled = median(peers.map((peer) => peer.compiled.rate));
    ratios['to PyTorch'] = own / Math.max(eager, compiled);
    rows.push(['PyTorch, eager', eager.toFixed(0), (own / eager).toFixed(2)]);
    rows.push(['PyTorch, compiled', compiled.toFixed(0), (own / compiled).toFixed(2)]);
  }
  return { columns: ['', 'samples/s', 'three processes to it'], rows };
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
      ratios[`simulated: ${one.name}`] = by;
      const bottleneck = pairs[0]?.forecast.bottleneck ?? '';
      return [one.name, rate(one).toFixed(0), simulated.toFixed(0), by.toFixed(2), bottleneck];
    }),
  };
}

/** What more cores would give, by the simulator; the times of a step are those of this machine's cores. */
function scaling(): Table {
  const [first] = CASES as [Case];
  const stages = inTurn.at(-1) as InTurn;
  return {
    columns: ['cores', 'simulated samples/s', 'bottleneck'],
    rows: [1, 2, 3, 4, 6, 8].map((cores) => {
      const { samplesPerSecond, bottleneck } = forecastOf(first, stages, cores);
      return [String(cores), samplesPerSecond.toFixed(0), bottleneck];
    }),
  };
}
