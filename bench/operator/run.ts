import { parseArgs } from 'node:util';
import { median } from '../alternate.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { type Measured, measure } from './measure.ts';
import { openJobSet, openOperator, type Subject } from './subjects.ts';

/**
 * Compares the operator with JobSet's controller, each on its own real API server, without pods:
 * `node bench/operator/run.ts [--single N] [--burst N] [--counts N,…] [--only operator,JobSet]
 * [--record]`. A ratio above 1: the operator is better.
 */

const { values } = parseArgs({
  options: {
    single: { type: 'string', default: '30' },
    burst: { type: 'string', default: '500' },
    counts: { type: 'string', default: '1000,2000' },
    only: { type: 'string', default: 'operator,JobSet' },
    record: { type: 'boolean', default: false },
  },
});
const course = {
  single: Number(values.single),
  burst: Number(values.burst),
  counts: values.counts.split(',').map(Number),
};

const where = machine();
const open: Record<string, () => Promise<Subject>> = { operator: openOperator, JobSet: openJobSet };
const results: Record<string, Measured> = {};
for (const name of values.only.split(',')) {
  const subject = await open[name]?.();
  if (!subject)
    throw new RangeError(`unknown controller ${name}; known are ${Object.keys(open).join(', ')}`);
  try {
    results[name] = await measure(subject, course);
    console.log(JSON.stringify({ name, ...results[name], single: undefined, burst: undefined }));
  } finally {
    await subject.close();
  }
}

const share = (values: readonly number[], part: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number;
};
const ms = (number: number) => `${Math.round(number)} ms`;
const LINES: [what: string, of: (result: Measured) => string][] = [
  ['ready after its start, nothing there', ({ readyMs }) => ms(readyMs)],
  ['one: to its three Jobs, p50', ({ single }) => ms(median(single))],
  ['p99', ({ single }) => ms(share(single, 0.99))],
  [`${course.burst} at once: p50`, ({ burst }) => ms(median(burst))],
  ['p99', ({ burst }) => ms(share(burst, 0.99))],
  ['objects a second', ({ burstRate }) => burstRate.toFixed(0)],
  ['CPU for each', ({ burstCpu }) => ms(1000 * burstCpu)],
  ['reconciles a second', ({ reconcilesPerSecond }) => reconcilesPerSecond?.toFixed(0) ?? '–'],
  ...course.counts.map((count, i): (typeof LINES)[number] => [
    `memory with ${count}`,
    ({ sizes }) => `${sizes[i]?.megabytes.toFixed(0)} MB`,
  ]),
  ['the most memory', ({ peakMegabytes }) => `${peakMegabytes.toFixed(0)} MB`],
  ['at rest: writes in 10 s', ({ restWrites }) => String(restWrites)],
  ['CPU', ({ restCpu }) => `${restCpu.toFixed(1)}% of a core`],
  ['started again with all: ready', ({ readyAgainMs }) => ms(readyAgainMs)],
  ['nothing left to do', ({ steadyMs }) => ms(steadyMs)],
  ['memory then', ({ megabytesAgain }) => `${megabytesAgain.toFixed(0)} MB`],
];
const table = {
  columns: ['', ...Object.keys(results)],
  rows: LINES.map(([what, of]) => [what, ...Object.values(results).map(of)]),
};
const { operator, JobSet } = results;
const ratios: Record<string, number> =
  operator && JobSet
    ? {
        'one, p50': median(JobSet.single) / median(operator.single),
        'at once, objects a second': operator.burstRate / JobSet.burstRate,
        memory: JobSet.peakMegabytes / operator.peakMegabytes,
      }
    : {};
const result = {
  name: 'operator',
  title: 'Operator',
  machine: `${where}; Kubernetes of test/cluster`,
  method: `Each on a real API server of its own, with etcd on the same machine; no scheduler and no Job controller, so that no pods come. The operator makes for each run three Jobs, three GreedyInfoMaxModules, their ConfigMaps and the streams in NATS; JobSet makes three Jobs. JobSet's webhooks are not registered. Times are seen by a watch from outside.`,
  tables: [table],
  notes: [],
  ratios,
};
console.log(markdown(table));
if (values.record) record(result);
