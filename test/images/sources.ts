import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Paths of the project's own files in an image whose root is mounted at `root`. */
export const ownFiles = (root: string): string[] =>
  readdirSync(join(root, 'app'), { recursive: true, encoding: 'utf8' })
    .map((path) => join('/app', path))
    .filter((path) => !path.includes('/node_modules/'));

/**
 * Node's log line for each TypeScript source with `COMPILED` in its environment: whether the cache
 * had it.
 */
export const transpiled = (output: string): string[] =>
  output.split('\n').filter((line) => line.includes('transpile cache for'));
export const COMPILED = { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };

/** Imports by path whose file is missing in the image, as `FILE imports PATH`. */
export function brokenImports(root: string): string[] {
  const broken: string[] = [];
  for (const file of ownFiles(root).filter((path) => path.endsWith('.ts'))) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, path = ''] of text.matchAll(/(?:from|import|import\() ?'(\.[^']*)'/g)) {
      if (!existsSync(join(root, resolve(dirname(file), path)))) {
        broken.push(`${file} imports ${path}`);
      }
    }
  }
  return broken;
}
