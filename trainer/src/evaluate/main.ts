import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ModuleConfig, moduleConfigSchema } from '@greedy-infomax/crds';
import { evaluate } from './evaluate.ts';

/**
 * Linear readouts of every module of a run: `node trainer/src/evaluate/main.ts --out DIR`. Prints one
 * line of JSON a module and writes DIR/evaluation.json.
 */

const { values } = parseArgs({ options: { out: { type: 'string' } } });

try {
  if (values.out === undefined) throw new Error('--out DIR is missing');
  const { out } = values;
  const modules = await evaluate(
    readModules(out),
    (name) => join(out, 'modules', name),
    (result) => console.log(JSON.stringify(result)),
  );
  const file = join(out, 'evaluation.json');
  writeFileSync(`${file}.tmp`, `${JSON.stringify({ modules }, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
} catch (error) {
  console.error(`evaluation failed: ${(error as Error).message}`);
  process.exitCode = 1;
}

/** The modules of a run folder, from input to output. */
function readModules(out: string): ModuleConfig[] {
  return readdirSync(join(out, 'modules'))
    .map((name) => join(out, 'modules', name, 'module.json'))
    .map((file) => moduleConfigSchema.parse(JSON.parse(readFileSync(file, 'utf8'))))
    .toSorted((a, b) => a.index - b.index);
}
