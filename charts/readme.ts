import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';

/**
 * `node charts/readme.ts` writes the table of values into the chart's README, from the comments in
 * its values.yaml; with `--check` it only reports whether the table is out of date.
 */

/** A value lacks a comment that describes it. */
export class UndescribedValueError extends Error {
  override readonly name = 'UndescribedValueError';

  constructor(path: string) {
    super(`values.yaml has no comment above ${path}; describe the value in a sentence`);
  }
}

interface Value {
  path: string;
  description: string;
  /** Default value, as JSON. */
  preset: string;
}

const BEGIN = '<!-- values: written by `make generate` from values.yaml -->';
const END = '<!-- end of values -->';

/**
 * Returns every value with a comment; values below a described one need none.
 * @throws UndescribedValueError
 */
export function describeValues(yaml: string): Value[] {
  const { contents } = parseDocument(yaml);
  return isMap(contents) ? valuesOf(contents, '') : [];
}

function valuesOf(map: YAMLMap, prefix: string): Value[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) return [];
    const path = `${prefix}${key.value}`;
    // This library assigns the comment above a map's first key to the map.
    const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined);
    const description = comment
      ?.split('\n')
      .map((line) => line.trim())
      .join(' ');
    if (description) return [{ path, description, preset: JSON.stringify(value) }];
    if (!isMap(value) || value.items.length === 0) throw new UndescribedValueError(path);
    return valuesOf(value, `${path}.`);
  });
}

/** Returns the README with the table of these values. Throws if the README lacks the markers. */
export function withTable(readme: string, values: readonly Value[]): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the README lacks the lines ${BEGIN} and ${END}`);
  const rows = values.map(
    ({ path, description, preset }) =>
      `| \`${path}\` | \`${preset}\` | ${description.replaceAll('|', '\\|')} |`,
  );
  const table = ['| Value | Default | Meaning |', '|---|---|---|', ...rows].join('\n');
  return `${readme.slice(0, begin + BEGIN.length)}\n${table}\n${readme.slice(end)}`;
}

if (import.meta.main) {
  const chart = join(import.meta.dirname, 'greedy-infomax');
  const path = join(chart, 'README.md');
  const before = readFileSync(path, 'utf8');
  const after = withTable(before, describeValues(readFileSync(join(chart, 'values.yaml'), 'utf8')));
  if (before !== after && process.argv.includes('--check')) {
    console.error('charts/greedy-infomax/README.md is out of date; run `make generate`');
    process.exitCode = 1;
  } else if (before !== after) writeFileSync(path, after);
}
