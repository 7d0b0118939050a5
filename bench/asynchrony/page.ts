import { mean } from '../alternate.ts';
import { markdown } from '../results.ts';
import { allCases, CLAIM, nameOf, type Result } from './cases.ts';
import { MODULES, runFile } from './run-file.ts';

export interface Setting {
  samples: number;
  machine: string;
  day: string;
}

/** Results for the claim: differences in points of accuracy, one per seed, and their mean. */
export interface Verdict {
  toSynchronous: number[];
  toUnslowed: number[];
  meanToSynchronous: number;
  meanToUnslowed: number;
  /** Mean slow-down factor of the first and the last module beside the slow one. */
  others: number[];
}

/** Undefined when a required result is missing. */
export function verdictOn(results: readonly Result[]): Verdict | undefined {
  const find = (policy: string, slowdown: number, seed: number) =>
    results.find(
      (one) =>
        one.policy === policy &&
        one.slowdown === slowdown &&
        one.seed === seed &&
        (one.depth === null || one.depth === CLAIM.depth),
    );
  const seeds = CLAIM.seeds.map((seed) => ({
    synchronous: find('synchronous', 1, seed),
    unslowed: find(CLAIM.policy, 1, seed),
    slowed: find(CLAIM.policy, CLAIM.slowdown, seed),
  }));
  const whole = seeds.flatMap(({ synchronous, unslowed, slowed }) =>
    synchronous && unslowed && slowed ? [{ synchronous, unslowed, slowed }] : [],
  );
  if (whole.length < seeds.length) return undefined;
  const toSynchronous = whole.map((s) => 100 * (s.slowed.accuracy - s.synchronous.accuracy));
  const toUnslowed = whole.map((s) => 100 * (s.slowed.accuracy - s.unslowed.accuracy));
  return {
    toSynchronous,
    toUnslowed,
    meanToSynchronous: mean(toSynchronous),
    meanToUnslowed: mean(toUnslowed),
    others: [0, 2].map(
      (i) =>
        mean(whole.map((s) => s.slowed.seconds[i] ?? 0)) /
        mean(whole.map((s) => s.unslowed.seconds[i] ?? 0)),
    ),
  };
}

/** Writes docs/asynchrony.md. */
export function page(results: readonly Result[], { samples, machine, day }: Setting): string {
  return `# Modules of unequal speed

Written by \`make bench-asynchrony\` (${day}; ${machine}).

Three modules train on digits, ${samples.toLocaleString('en')} samples each. The second one is slowed: after each batch it
waits until it has taken 2, 4 or 8 times as long as it would (\`SLOWDOWN=two:4\` in the environment of \`gim run\`; it is for experiments
and works with every run file). This is the question of Decoupled Greedy Learning (Belilovsky et al. 2020): what does a slow module
cost the others, and what do stale or repeated samples cost the accuracy?

- *latest* is \`whenFull: dropOldest\` with \`maxReuse: 15\`: no module waits for room, and a module without new samples uses those again that it has.
- *block* is \`whenFull: block\`: every sample is used exactly once, in order.
- *synchronous* is one process that takes each batch through the modules in turn. All have the same samples.
- *depth*: batches of 16 samples that a buffer holds.

## What was found

${found(verdictOn(results))}

${sameWeights(results)}

![Accuracy and time over the slow-down](asynchrony.svg)

${table(results)}

Seconds are those of the training alone, from a module's first step to the end of its budget; the processes share the cores of the machine, so a
slowed module leaves more to the others. *Accuracy* is that of a linear probe of the last module; *reused* are the
samples that it used again. Other seeds alone move the accuracy by several points, so single rows tell little.

## The run file

\`\`\`yaml
${runFile({ policy: 'latest', depth: CLAIM.depth, slowdown: 1, seed: 1 }, samples).trim()}
\`\`\`
`;
}

function found(verdict: Verdict | undefined): string {
  if (verdict === undefined) return 'Not all trainings were run that the claim needs.';
  const { toSynchronous, toUnslowed, meanToSynchronous, meanToUnslowed, others } = verdict;
  const [first, last] = others.map((ratio) => ratio.toFixed(2));
  return [
    `**The others go on.** Beside a module that is ${CLAIM.slowdown} times slower (latest, depth ${CLAIM.depth}) the first module trains for ${first} times and the last for ${last} times as long as without it.`,
    `**Accuracy.** At equal samples the slowed run's last module ends ${signed(meanToSynchronous)} ± ${errorOf(toSynchronous).toFixed(1)} points from synchronous training and ${signed(meanToUnslowed)} ± ${errorOf(toUnslowed).toFixed(1)} points from the same run without a slow module (means of ${toSynchronous.length} seeds and their standard errors; one by one ${toSynchronous.map(signed).join(', ')} and ${toUnslowed.map(signed).join(', ')}). The claim was at most 1 point below: ${held(toSynchronous)} against synchronous training, ${held(toUnslowed)} against the run without a slow module.`,
  ].join('\n\n');
}

/** Checks the promise of `block`: the same weights as training in one process. */
function sameWeights(results: readonly Result[]): string {
  const one = results.find(({ policy, seed }) => policy === 'synchronous' && seed === 1);
  const block = results.filter(({ policy, seed }) => policy === 'block' && seed === 1);
  const same = block.filter(({ weights }) => weights === one?.weights);
  return `**Block is synchronous training.** ${same.length} of ${block.length} runs with \`block\`, at every depth and slow-down, ended with the weights of synchronous training, to the last bit.`;
}

/** A mean within its error of the limit is inconclusive. */
function held(differences: readonly number[]): string {
  const [centre, error] = [mean(differences), errorOf(differences)];
  if (centre - error >= -1) return 'it held';
  return centre + error < -1 ? 'it did **not** hold' : 'these seeds cannot tell';
}

/** In the order of the list of cases, not of measurement. */
function inOrder(results: readonly Result[]): Result[] {
  const place = new Map(allCases().map((one, i) => [nameOf(one), i]));
  return results.toSorted((a, b) => (place.get(nameOf(a)) ?? 0) - (place.get(nameOf(b)) ?? 0));
}

function table(results: readonly Result[]): string {
  return markdown({
    columns: [
      'policy',
      'depth',
      'slow-down',
      'seed',
      ...MODULES.map((module) => `seconds, ${module}`),
      'reused',
      'accuracy',
      'from synchronous',
    ],
    rows: inOrder(results).map((one) => {
      const baseline = results.find(
        ({ policy, seed }) => policy === 'synchronous' && seed === one.seed,
      );
      const alone = one.policy === 'synchronous';
      return [
        one.policy,
        `${one.depth ?? '–'}`,
        alone ? '–' : `${one.slowdown}×`,
        `${one.seed}`,
        ...(alone
          ? [`${one.seconds[0]?.toFixed(1)} for all`, '', '']
          : one.seconds.map((s) => s.toFixed(1))),
        alone ? '–' : one.reused.toLocaleString('en'),
        `${(100 * one.accuracy).toFixed(1)}%`,
        alone || !baseline ? '' : signed(100 * (one.accuracy - baseline.accuracy)),
      ];
    }),
  });
}

const signed = (points: number): string =>
  `${points < 0 ? '−' : '+'}${Math.abs(points).toFixed(1)}`;

/** Standard error of the mean. */
function errorOf(values: readonly number[]): number {
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}
