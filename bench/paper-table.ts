import { formatDuration, formatPercent } from '../operator/src/report/format.ts';
import type { Summary } from '../operator/src/report/summary.ts';

/** Table 1 of the paper (Löwe et al. 2019), beside results on digits. */

export interface Method {
  /** Name in the table. */
  title: string;
  /** Name of the run file, in examples/small for digits and in examples/paper for STL-10. */
  file: string;
  /** Percent on STL-10 in the paper; undefined: not given in the paper. */
  paper?: number;
  /** True if STL-10 has no run file. */
  smallOnly?: true;
}

/** In the paper's order, including methods without a number. */
export const METHODS: readonly Method[] = [
  { title: 'Deep InfoMax, local', file: 'deepinfomax', paper: 78.2 },
  { title: 'Predsim', file: 'predsim', paper: 80.8 },
  { title: 'Supervised', file: 'supervised', paper: 71.4 },
  { title: 'Greedy supervised', file: 'greedy-supervised', paper: 65.2 },
  { title: 'CPC', file: 'cpc', paper: 80.5 },
  { title: 'Greedy InfoMax', file: 'gim', paper: 81.9 },
  { title: 'Greedy InfoMax, iterative', file: 'iterative' },
  {
    title: 'Greedy InfoMax, iterative, stored activations',
    file: 'iterative-stored',
    smallOnly: true,
  },
];

/** Untrained: Greedy InfoMax's network with its initial weights. */
const UNTRAINED = { title: 'Randomly initialised', paper: 27.0 };

export interface Outcome {
  method: Method;
  summary: Summary;
}

/** Accuracy of the last module, which is the network's accuracy. */
const accuracyOf = ({ summary }: Outcome): number | null =>
  summary.modules.at(-1)?.probeAccuracy ?? null;

export interface Row {
  title: string;
  /** Accuracy, 0 to 1; null: not evaluated. */
  accuracy: number | null;
  samples: number | null;
  seconds: number | null;
  paper: number | undefined;
}

/** One row per method, and one for the untrained network, which GIM's run also measures. */
export function rowsOf(outcomes: readonly Outcome[]): Row[] {
  const rows = outcomes.map((outcome) => ({
    title: outcome.method.title,
    accuracy: accuracyOf(outcome),
    samples: Math.max(...outcome.summary.modules.map(({ samplesTrained }) => samplesTrained)),
    seconds: outcome.summary.wallSeconds,
    paper: outcome.method.paper,
  }));
  const gim = outcomes.find(({ method }) => method.file === 'gim')?.summary.modules.at(-1);
  if (!gim) return rows;
  const untrained = { accuracy: gim.probeAccuracyUntrained, samples: 0, seconds: null };
  return [{ ...UNTRAINED, ...untrained }, ...rows];
}

export function markdownTable(rows: readonly Row[]): string {
  const lines = rows.map(({ title, accuracy, samples, seconds, paper }) =>
    [
      title,
      formatPercent(accuracy),
      samples?.toLocaleString('en-US') ?? '–',
      seconds === null ? '–' : formatDuration(seconds),
      paper === undefined ? '–' : `${paper.toFixed(1)}%`,
    ].join(' | '),
  );
  return [
    '| method | digits, here | samples a module | time | STL-10, the paper |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}
