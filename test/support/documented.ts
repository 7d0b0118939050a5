import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Finds the command blocks of the documentation and what an HTML comment above each says of its test. */

export const ROOT = resolve(import.meta.dirname, '../..');

/** Pages with commands for users and contributors. */
export const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'charts/greedy-infomax/README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export interface CommandBlock {
  page: string;
  /** Line of the block, from 1. */
  line: number;
  commands: string;
  /** Test that runs the block; undefined if the comment gives a reason against it, or there is none. */
  runsIn?: string;
  /** Reason why no test runs the block. */
  reason?: string;
}

/** Returns the bash blocks of a page. */
export function commandBlocks(page: string): CommandBlock[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const block = /(?:<!-- (?:runs in (\S+)|not run: ([^>]+)) -->\n\n)?^ *```bash\n(.*?)^ *```$/gms;
  return [...text.matchAll(block)].map((match) => {
    const [, runsIn, reason, commands = ''] = match;
    const line = text.slice(0, match.index).split('\n').length;
    return { page, line, commands, ...(runsIn && { runsIn }), ...(reason && { reason }) };
  });
}
