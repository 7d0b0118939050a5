import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/**
 * Holds the tables of docs/reliability.md and docs/security.md to the tests that they name. A cell names a file, and
 * after a colon titles in quotes; … in a title stands for any text.
 */

const ROOT = join(import.meta.dirname, '../..');
const PAGES = ['docs/reliability.md', 'docs/security.md'];

interface Reference {
  file: string;
  titles: string[];
}

/** Returns the tests that a page names. */
function referencesOf(page: string): Reference[] {
  return page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .flatMap((line) => {
      // A file's titles end where the next file begins.
      const parts = line.split(/((?:[\w-]+\/)+[\w-]+\.test\.ts)/);
      return parts.flatMap((file, i) =>
        i % 2 === 1
          ? [
              {
                file,
                titles: [...(parts[i + 1] ?? '').matchAll(/"([^"]+)"/g)].map((m) => m[1] ?? ''),
              },
            ]
          : [],
      );
    });
}

/** Reports whether a source file has a test or a suite of this title. */
function hasTest(source: string, title: string): boolean {
  const escaped = title
    .split('…')
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll("'", "\\\\?'"))
    .join('[^\\n]*');
  return new RegExp(`\\(\\s*(['"\`])${escaped}\\1`).test(source);
}

describe('the check', () => {
  const source =
    "it('is refused', () => {});\nit.each([\n  1,\n])(\n  'takes %i of them, and \\'more\\'',\n";

  it('finds the files and titles of a row', () => {
    expect(referencesOf('| a | b | test/a.test.ts: "x", "y"; b/c.test.ts |')).toEqual([
      { file: 'test/a.test.ts', titles: ['x', 'y'] },
      { file: 'b/c.test.ts', titles: [] },
    ]);
  });

  it.each(['is refused', 'takes %i of them, and …', "takes %i of them, and 'more'"])(
    'finds a test called %j',
    (title) => {
      expect(hasTest(source, title)).toBe(true);
    },
  );

  it.each(['is refuse', 'refused', 'takes … of it'])('does not find one called %j', (title) => {
    expect(hasTest(source, title)).toBe(false);
  });
});

describe.each(PAGES)('%s', (name) => {
  const page = readFileSync(join(ROOT, name), 'utf8');
  const references = referencesOf(page);

  it('names tests in every row of a table of cases', () => {
    const tables = page.split(/\n(?!\|)/).filter((text) => /\| held by +\|\n/.test(text));
    expect(tables.length).toBeGreaterThan(0);
    for (const row of tables.flatMap((table) => table.trim().split('\n').slice(2))) {
      expect(row, row).toMatch(/\.test\.ts/);
    }
  });

  it('names tests that exist', () => {
    const files = new Set(
      execFileSync('git', ['ls-files', '*.test.ts'], { cwd: ROOT, encoding: 'utf8' }).split('\n'),
    );
    const missing = references.flatMap(({ file, titles }) => {
      if (!files.has(file) && !existsSync(join(ROOT, file))) return [file];
      const source = readFileSync(join(ROOT, file), 'utf8');
      return titles.filter((title) => !hasTest(source, title)).map((title) => `${file}: ${title}`);
    });
    expect(missing).toEqual([]);
  });
});
