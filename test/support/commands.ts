/** Command blocks of the documentation, for tests that run them. */

/** A heading without the wanted block; the message names both. */
export class MissingBlockError extends Error {
  override readonly name = 'MissingBlockError';
}

/**
 * Returns the fenced blocks of shell commands below a heading of a Markdown text, up to the next heading.
 * @throws MissingBlockError if there is no such heading, or no block below it.
 */
export function commandBlocks(markdown: string, heading: string): string[] {
  const [, below] = markdown.split(`\n## ${heading}\n`);
  if (below === undefined) throw new MissingBlockError(`no heading "## ${heading}"`);
  const [section = ''] = below.split('\n## ');
  const blocks = [...section.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block = '']) => block);
  if (blocks.length === 0) throw new MissingBlockError(`no commands below "## ${heading}"`);
  return blocks;
}
