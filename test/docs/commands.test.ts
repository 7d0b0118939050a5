import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { commandBlocks, PAGES, ROOT } from '../support/code-blocks.ts';

/** Holds every command block of the documentation to a test that runs it, or to a reason why none does. */

const blocks = PAGES.flatMap(commandBlocks);

it.each(blocks.map((block) => [`${block.page}:${block.line}`, block] as const))(
  'the commands at %s run in a test, or say why not',
  (_, { page, runsIn, reason }) => {
    if (reason !== undefined) {
      for (const [name] of reason.matchAll(/[\w/-]+\.test\.ts/g))
        expect(existsSync(join(ROOT, name)), name).toBe(true);
      return;
    }
    expect(runsIn, 'comment above the block').toBeDefined();
    const test = readFileSync(join(ROOT, runsIn as string), 'utf8');
    expect(test).toMatch(/commandBlocks\(|codeBlocks\(/);
    if (!test.includes('commandBlocks(')) expect(test).toContain(page);
  },
);

it('the pages have commands', () => {
  expect(blocks.length).toBeGreaterThan(20);
});
