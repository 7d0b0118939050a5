import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Extracts code blocks from the documentation, for tests that run or apply them. */

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

/** The text has no such heading or block; the message names both. */
export class MissingBlockError extends Error {
  override readonly name = 'MissingBlockError';
}

/**
 * Returns the fenced blocks of a language below a heading of a Markdown text, up to the next
 * heading.
 * @throws MissingBlockError if the heading or the block is missing.
 */
export function codeBlocks(
  markdown: string,
  heading: string,
  language: 'bash' | 'yaml' = 'bash',
): string[] {
  const [, below] = markdown.split(`\n## ${heading}\n`);
  if (below === undefined) throw new MissingBlockError(`no heading "## ${heading}"`);
  const [section = ''] = below.split('\n## ');
  const fence = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms');
  const blocks = [...section.matchAll(fence)].map(([, block = '']) => block);
  if (blocks.length === 0) throw new MissingBlockError(`no ${language} below "## ${heading}"`);
  return blocks;
}

/** Block of commands with what the HTML comment above it says of its test. */
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
