import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { definitionFiles } from './definitions.ts';

/** `node crds/src/generate.ts` writes the CRD YAML; with `--check` it only says what is out of date. */

const folder = join(import.meta.dirname, '..');
const check = process.argv.includes('--check');

for (const { name, text } of definitionFiles()) {
  const path = join(folder, name);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
  if (check) {
    console.error(`crds/${name} is out of date; run \`make generate\``);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
  }
}
