import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { definitionFiles } from './definitions.ts';

/**
 * `node crds/src/generate/main.ts` writes the CRD YAML, here and into the Helm chart, as a chart reads nothing
 * outside its folder; with `--check` it only says what is out of date.
 */

const root = join(import.meta.dirname, '../../..');
const folders = ['crds', 'charts/greedy-infomax/files/crds'];
const check = process.argv.includes('--check');

for (const folder of folders) {
  for (const { name, text } of definitionFiles()) {
    const path = join(root, folder, name);
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
    if (check) {
      console.error(`${folder}/${name} is out of date; run \`make generate\``);
      process.exitCode = 1;
    } else {
      writeFileSync(path, text);
    }
  }
}
