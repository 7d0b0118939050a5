/** Extracts code blocks from the documentation, for tests that run or apply them. */

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
