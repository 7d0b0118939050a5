import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderError } from '@greedy-infomax/crds';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkFresh, clearLeftovers, RunFolderError, readRecord } from '../local/folder.ts';
import { summarise } from '../local/summarise.ts';
import { BrokenFileError } from './run-files.ts';
import { makeConfig, makeHistory, makeReport, makeRunFolder } from './testing/run.ts';

/** Damages every file of a run's folder. Each must be read, ignored or rejected with a message. */

const WORDS = [BrokenFileError, RunFolderError, FolderError];

const FILES = [
  'modules/first/module.json',
  'modules/first/history.jsonl',
  'run.json',
  'run.yaml',
  'evaluation.json',
  'evaluations.jsonl',
  'summary.json',
  'pictures/embeddings.json',
];
const point = { x: 1, y: 2, label: 0 };
const accuracy = { name: 'first', accuracy: 0.5, accuracyUntrained: 0.25 };
const evaluation = { samples: 100, modules: [accuracy] };

let parent: string;
let out: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'gim-fuzz-'));
  const made = makeRunFolder([{ config: makeConfig('first', 0), history: makeHistory(5, 0) }], {
    'run.json': JSON.stringify({
      uid: 'a1',
      wallSeconds: 3,
      versions: { node: '24' },
      reports: [makeReport('first')],
    }),
    'run.yaml': 'kind: GreedyInfoMaxRun\nmetadata: { name: digits }\n',
    'evaluation.json': JSON.stringify(evaluation),
    'evaluations.jsonl': `${JSON.stringify(evaluation)}\n`,
    'summary.json': '{}',
    'pictures/embeddings.json': JSON.stringify({ first: [point, point] }),
  });
  out = join(parent, 'run');
  renameSync(made, out);
});
afterEach(() => rmSync(parent, { recursive: true }));

/** Runs `gim report` on the folder, and the checks of a new run in it. */
async function useFolder(): Promise<void> {
  await attempt(() => summarise(out));
  await attempt(() => readRecord(out));
  await attempt(() => checkFresh(out));
  await attempt(() => clearLeftovers(out));
  expect(readdirSync(parent)).toEqual(['run']);
}

async function attempt(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    const known = WORDS.some((type) => error instanceof type);
    if (!known) throw error;
  }
}

const VALUES = ['null', '-1', '1e999', '"x"', '[]', '{}', '"../../x"', '{"__proto__":1}', '9e15'];

/** Returns a text with a value replaced, some characters changed, or its end cut off. */
const damage = (text: string): fc.Arbitrary<string> =>
  fc.oneof(
    fc.tuple(fc.nat(), fc.constantFrom(...VALUES)).map(([at, value]) => {
      const values = [...text.matchAll(/(?<=[:,[])("[^"]*"|-?[\d.e]+|null)/g)];
      const found = values[at % Math.max(1, values.length)];
      if (!found) return value;
      return text.slice(0, found.index) + value + text.slice(found.index + found[0].length);
    }),
    fc.nat({ max: text.length }).map((end) => text.slice(0, end)),
    fc
      .array(fc.tuple(fc.nat({ max: text.length }), fc.string({ unit: 'binary', maxLength: 2 })), {
        minLength: 1,
        maxLength: 3,
      })
      .map((edits) => edits.reduce((s, [at, put]) => s.slice(0, at) + put + s.slice(at + 1), text)),
  );

describe('a run folder', () => {
  it.each(FILES)('with a damaged %s is read or refused in words', async (name) => {
    const good = readFileSync(join(out, name), 'utf8');
    for (const text of fc.sample(damage(good), { seed: 29, numRuns: 30 })) {
      cpSync(out, `${parent}-good`, { recursive: true });
      writeFileSync(join(out, name), text);
      await useFolder();
      rmSync(out, { recursive: true });
      renameSync(`${parent}-good`, out);
    }
  });

  it.each(FILES)(
    'with a pipe or a folder in the place of %s does not wait for it',
    async (name) => {
      for (const put of ['mkfifo', 'mkdir']) {
        rmSync(join(out, name), { recursive: true, force: true });
        execFileSync(put, [join(out, name)]);
        await attempt(() => summarise(out));
        await attempt(() => checkFresh(out));
      }
    },
  );

  it('with a file that is too large is refused before it is read', async () => {
    const file = join(out, 'modules/first/history.jsonl');
    execFileSync('truncate', ['-s', '3G', file]);
    await expect(summarise(out)).rejects.toThrow(
      /history\.jsonl has 3221225472 bytes, but the maximum is/,
    );
  });
});
