import { readFileSync } from 'node:fs';
import { type Run, trainingImages } from '@greedy-infomax/crds';
import { Command, InvalidArgumentError } from 'commander';
import { budgetOf } from '../plan/budget.ts';
import { planRun } from '../plan/run.ts';
import { simulate } from '../plan/simulate/simulate.ts';
import { parseStages, pipelineOf } from '../plan/simulate/stages.ts';
import { type EdgeSize, SERVER_BYTES_PER_SECOND, type Sizing, sizeRun } from '../plan/sizing.ts';
import { forecastText } from '../report/forecast.ts';
import { formatBytes, formatCount, formatSi } from '../report/format.ts';
import { textTable } from '../report/table.ts';
import { print, printError } from './print.ts';
import { readRunFile } from './run-file.ts';

interface PlanOptions {
  samplesPerSecond?: number;
  simulate?: string;
  json: boolean;
}

/** `gim plan FILE` */
export const planCommand = (): Command =>
  new Command('plan')
    .description('Say what a run takes: parameters, checkpoints, buffers, NATS memory and traffic.')
    .argument('<file>', 'run file')
    .option('--samples-per-second <rate>', 'rate at which the first module trains', rate)
    .option(
      '--simulate <stages>',
      'play the run through with the times of this JSON file: {"cores": 2, "modules": {"NAME": {"msPerBatch": 12.5, "cores": 1.8, "replicas": 1}}}',
    )
    .option('--json', 'print JSON', false)
    .action((file: string, options: PlanOptions) => {
      const run = readRunFile(file);
      if (options.simulate !== undefined) {
        const forecasts = forecastsOf(run, options.simulate);
        const text = () => forecasts.map(forecastText).join('\n\n');
        print(options.json ? JSON.stringify(forecasts, null, 2) : text());
        return;
      }
      const sizing = sizeRun(planned(run), options.samplesPerSecond);
      print(options.json ? JSON.stringify(sizing, null, 2) : sizingText(run, sizing));
      if (!options.json) return;
      for (const warning of sizing.warnings) printError(`warning: ${warning}`);
    });

/** Plans without the size of the data set: sizes do not depend on the budget. */
const planned = (run: Run) =>
  planRun(
    { ...run, spec: { ...run.spec, training: { samples: 1 } } },
    { namespace: 'local', uid: 'plan' },
  );

/** Maximum number of samples to simulate. More samples only take more time. */
const SIMULATED_SAMPLES = 200_000;

/** Returns forecasts of the run with its own policy and with the other one. */
function forecastsOf(run: Run, file: string) {
  const { spec } = run;
  const stages = parseStages(readFileSync(file, 'utf8'), file);
  const size = trainingImages(spec.data, spec.modules[0]?.objective ?? spec.objective);
  const budget = Math.min(SIMULATED_SAMPLES, budgetOf(spec.training, spec.batchSize, size));
  const replicas = (name: string) =>
    spec.modules.find((module) => module.name === name)?.replicas ?? 1;
  const policies = (['dropOldest', 'block'] as const).toSorted(
    (a, b) => Number(b === spec.buffers.whenFull) - Number(a === spec.buffers.whenFull),
  );
  return policies.map((whenFull) => {
    const buffers = { ...spec.buffers, whenFull };
    const { modules } = planned({ ...run, spec: { ...spec, buffers } });
    return simulate(pipelineOf(modules, stages, budget, replicas));
  });
}

function sizingText(run: Run, { modules, edges, totals, nats, warnings }: Sizing): string {
  const { batchSize, checkpoints } = run.spec;
  const [count = 1] = modules[0]?.output ?? [];
  const patches = count > 1 ? `${count} patches a sample, ` : '';
  const moduleTable = textTable(
    ['module', 'parameters', 'of its objective', 'MACs a sample', 'checkpoint', 'output'],
    [
      ...modules.map((module) => [
        shortened(module.name),
        formatCount(module.parameters),
        formatCount(module.objectiveParameters),
        formatSi(module.macsPerSample),
        formatBytes(module.checkpointBytes),
        formatShape(module.output),
      ]),
      [
        'all',
        formatCount(totals.parameters),
        formatCount(totals.objectiveParameters),
        formatSi(totals.macsPerSample),
        `${checkpoints.keep} kept: ${formatBytes(totals.checkpointBytes)}`,
        '',
      ],
    ],
  );
  const paragraphs = [
    `${run.metadata.name}: ${modules.length} module${modules.length === 1 ? '' : 's'}, ${patches}${batchSize} samples a step`,
    moduleTable,
    ...(edges.length > 0 ? [edgeTable(edges), natsText(nats)] : ['One module: no buffers.']),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  return paragraphs.join('\n\n');
}

function edgeTable(edges: readonly EdgeSize[]): string {
  const withRate = edges.some(({ bytesPerSecond }) => bytesPerSecond !== null);
  const titles = ['buffer behind', 'a sample', 'encoding', 'bytes', 'messages', 'depth', 'memory'];
  return textTable(
    withRate ? [...titles, 'traffic'] : titles,
    edges.map((edge) => [
      shortened(edge.from),
      formatShape(edge.shape),
      edge.encoding,
      formatBytes(edge.sampleBytes),
      edge.messagesPerSample < 1
        ? `1 for ${Math.round(1 / edge.messagesPerSample)}`
        : formatCount(edge.messagesPerSample),
      formatCount(edge.depth),
      formatBytes(edge.bufferBytes),
      ...(edge.bytesPerSecond === null ? [] : [`${formatBytes(edge.bytesPerSecond)}/s`]),
    ]),
  );
}

function natsText({ bufferBytes, memoryBytes, bytesPerSample, bytesPerSecond }: Sizing['nats']) {
  const rate = formatSi(SERVER_BYTES_PER_SECOND / bytesPerSample);
  return [
    `NATS memory: ${formatBytes(bufferBytes)} of buffers; the server needs twice that and 0.5 GiB. In the chart:`,
    `  --set nats.memoryStore.size=${mebibytes(bufferBytes)} --set nats.resources.limits.memory=${mebibytes(memoryBytes)}`,
    `A server with two cores carries about ${formatBytes(SERVER_BYTES_PER_SECOND)}/s (measured): ${rate} samples/s of this run.`,
    ...(bytesPerSecond === null
      ? []
      : [`Traffic: ${formatBytes(bytesPerSecond)}/s into the server, and as much out of it.`]),
  ].join('\n');
}

/** Formats bytes as a Kubernetes quantity, rounded up. */
const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1024 ** 2)}Mi`;

/** Names may have 40 characters, a terminal 120 columns. */
const NAME_MAX = 30;
const shortened = (name: string): string =>
  name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX - 1)}…`;

/** 49 x 16 x 16 x 256 */
const formatShape = (shape: readonly number[]): string => shape.join(' x ');

function rate(text: string): number {
  const number = Number(text);
  if (number > 0 && number <= 1e9) return number;
  throw new InvalidArgumentError('must be a number of samples a second above 0');
}
