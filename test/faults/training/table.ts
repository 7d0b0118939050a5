import { MODULES } from './training.ts';

/** docs/reliability.md, from what was measured. */

export interface Row {
  /** Of the fault. */
  name: string;
  happens: string;
  whenFull: 'dropOldest' | 'block';
  recovery: number;
  again: number;
  dropped: number;
  /** Of the readout of the last module, between 0 and 1. */
  accuracy: number;
}

export interface Page {
  rows: readonly Row[];
  /** Faults that a training did not outlive, and how it ended. */
  failures: readonly string[];
  /** Faults that were not tried this time. */
  pending: readonly string[];
  /** By policy: of trainings that nothing disturbed, one a seed. */
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

/** Reports come once a second, so less than that cannot be told from nothing. */
const seconds = (recovery: number): string => (recovery < 1 ? '< 1' : recovery.toFixed(0));

export function reliabilityPage({
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
  return `# What a training outlives

Written by \`make faults\` (${day}; ${machine}).

Each row is a training of its own on this machine: ${MODULES.length} modules on digits, ${count(samples)} samples each, with a checkpoint a second, struck by
one fault at a point drawn from a seed. ${failures.length === 0 ? 'All' : 'Those in the table'} have come to their end, every module with all its samples. Faults that last took ${lasts / 1000} s.

- *recovery*: seconds until every module has trained on beyond where it was, from the fault, or from its end if it lasts.
- *trained again*: samples between the checkpoint that a trainer went on from and its last report before that, over all modules. Reports and checkpoints come once a second here, so up to a
  second of work is not seen in it.
- *dropped*: samples that no later module has trained on. Buffers that drop the oldest do so in an undisturbed run, too, whenever a module is slower than the one
  before it; the next column says how many.
- *accuracy*: of a linear readout of the last module; beside it the same without a fault.

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
${failures.length > 0 ? `\n**Not outlived:**\n\n${failures.map((line) => `- ${line}`).join('\n')}\n` : ''}${pending.length > 0 ? `\n**Not measured this time:** ${pending.join('; ')}.\n` : ''}
Undisturbed trainings differ, too: with buffers that drop the oldest, the ${accuracies('dropOldest').length} that were run ended at ${accuracies('dropOldest').map(percent).join(', ')}; with buffers that
block at ${accuracies('block').map(percent).join(', ')}. A difference below that between two of them is no effect of a fault.

## Not in the table

- Streams are always in memory, so there is no form of the NATS faults with streams in files. A run makes its streams again when NATS comes back, and loses what they held.
- The clock is that of the trainers as their program sees it; the clock of the machine is left alone.
- On a cluster, the tests in \`test/cluster/nodes.test.ts\` kill a node and cut and slow its link, and those in \`test/faults/operator-*.test.ts\` kill the operator and break its
  watches. They run with \`make test\` and measure nothing.
- A client that may publish on an edge can send well-formed samples with plausible values; those are trained on. Who may publish there is a matter of NATS credentials: see
  [install.md](install.md).
`;
}
