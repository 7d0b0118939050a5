import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { machine } from '../../../bench/machine.ts';
import { FAULTS, type Fault } from './faults.ts';
import { type Outcome, trainThrough } from './measure.ts';
import { type Page, type Row, withFaults } from './table.ts';

/**
 * Trains through one fault after another and writes the table of docs/reliability.md: `make faults`. Needs root, for file systems
 * and a network of its own. Takes about ten minutes on two cores. What runs/faults/results.json holds already is not
 * measured again; `--page` measures nothing and writes the page of what is there.
 */

const ROOT = join(import.meta.dirname, '../../..');
const KEPT = join(ROOT, 'runs/faults/results.json');
const OPTIONS = { samples: 24_000, evaluate: true, lasts: 5000 };
/** Number of undisturbed trainings, to tell an effect from chance. */
const SEEDS = { dropOldest: 3, block: 1 };

const pageOnly = process.argv.includes('--page');

type Figures = Pick<Row, 'recovery' | 'again' | 'dropped' | 'accuracy'>;

const results: Record<string, Figures> = existsSync(KEPT)
  ? JSON.parse(readFileSync(KEPT, 'utf8'))
  : {};
mkdirSync(join(KEPT, '..'), { recursive: true });

/** Returns the figures of `train`, cached by `name`, or why there are none. */
async function figures(
  name: string,
  train: () => Promise<Outcome>,
): Promise<Figures | { failure: string } | { pending: string }> {
  const known = results[name];
  if (known) return known;
  if (pageOnly) return { pending: name };
  try {
    const { recovery, again, dropped, summary } = await train();
    const accuracy = summary.modules.at(-1)?.probeAccuracy ?? Number.NaN;
    const found = { recovery: recovery[0] ?? 0, again, dropped, accuracy };
    results[name] = found;
    writeFileSync(KEPT, `${JSON.stringify(results, null, 2)}\n`);
    console.log(`${name}: ${JSON.stringify(found)}`);
    return found;
  } catch (error) {
    const failure = `${name}: ${(error as Error).message}`;
    console.log(failure);
    return { failure };
  }
}

const failures: string[] = [];
const pending: string[] = [];
const undisturbed: Record<Row['whenFull'], Figures[]> = { dropOldest: [], block: [] };
for (const whenFull of ['dropOldest', 'block'] as const) {
  for (let seed = 0; seed < SEEDS[whenFull]; seed += 1) {
    const found = await figures(`nothing, ${whenFull}, ${seed}`, () =>
      trainThrough([], { ...OPTIONS, seed }, { whenFull }),
    );
    if ('failure' in found) failures.push(found.failure);
    else if ('pending' in found) pending.push(found.pending);
    else undisturbed[whenFull].push(found);
  }
}
const rows: Row[] = [];
for (const [seed, fault] of Object.values<Fault>(FAULTS).entries()) {
  const { name, happens, setting } = fault;
  const found = await figures(name, () => trainThrough([fault], { ...OPTIONS, seed }));
  if ('failure' in found) failures.push(found.failure);
  else if ('pending' in found) pending.push(found.pending);
  else rows.push({ name, happens, whenFull: setting?.whenFull ?? 'dropOldest', ...found });
}
const page: Page = {
  rows,
  failures,
  pending,
  undisturbed,
  samples: OPTIONS.samples,
  lasts: OPTIONS.lasts,
  day: new Date().toISOString().slice(0, 10),
  machine: machine(),
};
const document = join(ROOT, 'docs/reliability.md');
writeFileSync(document, withFaults(readFileSync(document, 'utf8'), page));
process.exit(failures.length === 0 ? 0 : 1);
