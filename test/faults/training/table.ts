import { MODULES } from './training.ts';

/** The measured part of docs/reliability.md. Everything outside its two markers is written by hand. */

const BEGIN = '<!-- written by make faults -->';
const END = '<!-- end of what make faults writes -->';

export interface Row {
  /** Name of the fault. */
  name: string;
  happens: string;
  whenFull: 'dropOldest' | 'block';
  recovery: number;
  again: number;
  dropped: number;
  /** Accuracy of the linear probe of the last module, between 0 and 1. */
  accuracy: number;
}

export interface Page {
  rows: readonly Row[];
  /** Faults that a training did not survive, and how it ended. */
  failures: readonly string[];
  /** Faults that were not tried in this measurement. */
  pending: readonly string[];
  /** Undisturbed trainings by policy, one per seed. */
  undisturbed: Readonly<Record<Row['whenFull'], readonly Pick<Row, 'accuracy' | 'dropped'>[]>>;
  samples: number;
  lasts: number;
  day: string;
  machine: string;
}

const percent = (accuracy: number): string => `${(100 * accuracy).toFixed(1)}%`;
const count = (samples: number): string => Math.round(samples).toLocaleString('en');
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Returns the recovery in whole seconds. Reports come once a second, so shorter ones are not measurable. */
const seconds = (recovery: number): string => (recovery < 1 ? '< 1' : recovery.toFixed(0));

/** Returns the page with its measured part replaced. Throws if the page lacks a marker. */
export function withFaults(page: string, measured: Page): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the page lacks the lines ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${faultsPart(measured)}\n${page.slice(end)}`;
}

/** Returns the measured part: how it was measured, the table, and what did not end well. */
export function faultsPart({
  rows,
  failures,
  pending,
  undisturbed,
  samples,
  lasts,
  day,
  machine,
}: Page): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const columns = [
    'fault',
    'what happens',
    'recovery, s',
    'trained again',
    'dropped',
    'undisturbed',
    'accuracy',
    'undisturbed',
  ];
  const accuracies = (whenFull: Row['whenFull']) =>
    undisturbed[whenFull].map(({ accuracy }) => accuracy);
  return `Measured on ${day} (${machine}).

Each row is a training of its own on one machine: ${MODULES.length} modules on digits, ${count(samples)} samples each, a
checkpoint each second, and one fault at a time drawn from a seed. ${failures.length === 0 ? 'All trainings' : 'The trainings in the table'}
were complete, with all samples of every module. Faults that last took ${lasts / 1000} s.

- *recovery*: seconds from the fault, or from its end if it lasts, until every module has trained beyond its former
  step.
- *trained again*: samples between the checkpoint that a trainer resumed from and its last report before that, over all
  modules. Reports and checkpoints come once a second, so up to a second of work is not seen in it.
- *dropped*: samples that no later module has trained on. With \`dropOldest\` an undisturbed run drops samples, too,
  where a module is slower than the one before it; the next column shows how many.
- *accuracy*: of a linear probe of the last module; the next column shows it without a fault.

${line(columns)}
${line(columns.map(() => '---'))}
${rows
  .map((row) =>
    line([
      row.name,
      row.happens,
      seconds(row.recovery),
      count(row.again),
      count(row.dropped),
      count(mean(undisturbed[row.whenFull].map(({ dropped }) => dropped))),
      percent(row.accuracy),
      percent(mean(accuracies(row.whenFull))),
    ]),
  )
  .join('\n')}
${failures.length > 0 ? `\n**Not survived:**\n\n${failures.map((line) => `- ${line}`).join('\n')}\n` : ''}${pending.length > 0 ? `\n**Not measured this time:** ${pending.join('; ')}.\n` : ''}
Undisturbed trainings differ, too: the ${accuracies('dropOldest').length} with \`dropOldest\` ended at ${accuracies('dropOldest').map(percent).join(', ')},
those with \`block\` at ${accuracies('block').map(percent).join(', ')}. A smaller difference is not an effect of a fault.
`;
}
