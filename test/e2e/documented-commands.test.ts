import { execFile } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { codeBlocks, commandBlocks, PAGES, ROOT } from '../support/code-blocks.ts';

/**
 * Runs the command blocks of the documentation that need one machine, as written and in order. The working folder has
 * the checkout's layout. Its run files train on few samples.
 */

// A block of several commands trains and evaluates; only a hanging command exceeds this.
vi.setConfig({ testTimeout: 1_800_000 });

const SELF = 'test/e2e/documented-commands.test.ts';
const blocks = PAGES.flatMap(commandBlocks).filter(({ runsIn }) => runsIn === SELF);
/** Maximum samples of a module. */
const SAMPLES = 640;

let folder: string;

/** Returns the run file with few samples and one epoch of linear probes. */
const small = (text: string): string =>
  text.replace(
    /\b(samples|epochs): \d+/g,
    (_, field) => `${field}: ${field === 'samples' ? SAMPLES : 1}`,
  );

/** Writes photographs of two classes, 96 by 72 pixels, with training and test parts. */
async function writePhotos(path: string): Promise<void> {
  for (const part of ['train', 'test']) {
    for (const [name, red] of Object.entries({ day: 220, night: 30 })) {
      const into = join(path, part, name);
      mkdirSync(into, { recursive: true });
      for (let i = 0; i < 40; i += 1) {
        const background = { r: red, g: (i * 37) % 256, b: (i * 91) % 256 };
        await sharp({ create: { width: 96, height: 72, channels: 3, background } })
          .jpeg()
          .toFile(join(into, `${i}.jpg`));
      }
    }
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gim-commands-'));
  for (const name of ['bin', 'bench', 'crds', 'operator', 'trainer', 'node_modules'])
    symlinkSync(join(ROOT, name), join(folder, name));
  mkdirSync(join(folder, 'examples'));
  for (const name of readdirSync(join(ROOT, 'examples')).filter((each) => each.endsWith('.yaml'))) {
    const text = readFileSync(join(ROOT, 'examples', name), 'utf8');
    writeFileSync(join(folder, 'examples', name), small(text));
  }
  copyFileSync(join(folder, 'examples/digits.yaml'), join(folder, 'run.yaml'));
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const [photos = ''] = codeBlocks(readme, 'Your own images', 'yaml');
  const path = join(folder, 'photos');
  expect(photos).toContain('path: /data/photos');
  writeFileSync(join(folder, 'photos.yaml'), small(photos.replace('/data/photos', path)));
  await writePhotos(path);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

it('the documentation has such commands', () => {
  expect(new Set(blocks.map(({ page }) => page))).toEqual(
    new Set(['README.md', 'docs/guide.md', 'docs/weights.md']),
  );
});

it.each(blocks.map((block) => [`${block.page}:${block.line}`, block.commands] as const))(
  'the commands at %s run as written',
  async (_, commands) => {
    const bash = ['-euo', 'pipefail', '-c', commands];
    // Rejects with the output if a command fails.
    await promisify(execFile)('bash', bash, { cwd: folder, maxBuffer: 2 ** 24 });
  },
);
