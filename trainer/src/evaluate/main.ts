import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  EXIT,
  encodeReadoutResult,
  type ModuleConfig,
  moduleConfigSchema,
  type ReadoutResult,
} from '@greedy-infomax/crds';
import { ConfigMismatchError } from '../checkpoint/errors.ts';
import { DataError } from '../data/errors.ts';
import { EvaluationError } from './errors.ts';
import { type EvaluationResult, evaluate } from './evaluate.ts';

/**
 * Linear readouts of every module of a run. Prints one line of JSON a module.
 *
 * `main.ts --out DIR`, on one machine: reads DIR/modules, writes DIR/evaluation.json.
 * `main.ts --config DIR --checkpoints DIR --result FILE`, in a pod: reads CONFIG/MODULE/module.json and
 * CHECKPOINTS/MODULE/replica-N, and writes a `ReadoutResult` into a file that is there already.
 */

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    config: { type: 'string' },
    checkpoints: { type: 'string' },
    result: { type: 'string' },
  },
});

// The first process of a container gets no signal that it has not asked for.
process.once('SIGTERM', () => process.exit(EXIT.stopped));

try {
  const { out } = values;
  const folder = out && join(out, 'modules');
  const { config = folder, checkpoints = folder, result } = values;
  if (config === undefined || checkpoints === undefined) {
    throw new EvaluationError('--out DIR is missing');
  }
  const found = await evaluate(
    readModules(config),
    (name) => join(checkpoints, name),
    (module) => console.log(JSON.stringify(module)),
  );
  if (out !== undefined) writeWhole(join(out, 'evaluation.json'), found);
  if (result !== undefined) writeFileSync(result, encodeReadoutResult(compact(found)));
} catch (error) {
  console.error(`evaluation failed: ${(error as Error).message}`);
  process.exitCode = isFinal(error) ? EXIT.configuration : EXIT.retry;
}

/** The modules of a run, from input to output. A volume of Kubernetes holds hidden entries of its own. */
function readModules(folder: string): ModuleConfig[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(folder, name, 'module.json'))
    .map((file) => moduleConfigSchema.parse(JSON.parse(readFileSync(file, 'utf8'))))
    .toSorted((a, b) => a.index - b.index);
}

function writeWhole(file: string, found: EvaluationResult): void {
  writeFileSync(`${file}.tmp`, `${JSON.stringify(found, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
}

function compact({ samples, modules }: EvaluationResult): ReadoutResult {
  const pairs = modules.map(({ name, accuracy, accuracyUntrained }): [string, [number, number]] => [
    name,
    [accuracy, accuracyUntrained],
  ]);
  return { samples, modules: Object.fromEntries(pairs) };
}

/** Whether another attempt would end the same way. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof EvaluationError ||
    error instanceof DataError ||
    error instanceof ConfigMismatchError
  );
}
