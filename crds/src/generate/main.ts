import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { definitionFiles } from './definitions.ts';

/**
 * `node crds/src/generate/main.ts` writes the YAML of the CRDs to crds/ and to the Helm chart, because a chart cannot read
 * files outside its folder. With `--check`, it only reports outdated files.
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
