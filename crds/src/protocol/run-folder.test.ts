import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MODULE_FILE, modulePlaces } from './run-folder.ts';

let run: string;
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'run-folder-'));
});
afterEach(() => rmSync(run, { recursive: true }));

const put = (folder: string, file = MODULE_FILE) => {
  mkdirSync(join(run, folder), { recursive: true });
  writeFileSync(join(run, folder, file), '{}');
};
const places = () =>
  modulePlaces(run)
    .map(({ folder, trainer }) => [folder, trainer].map((path) => path.slice(run.length + 1)))
    .toSorted();

it('finds the modules of a run on one machine', () => {
  put('modules/edges');
  put('modules/shapes');
  put('modules/empty', 'notes.txt');
  put('.', 'run.json');
  expect(places()).toEqual([
    ['modules/edges', 'modules/edges'],
    ['modules/shapes', 'modules/shapes'],
  ]);
});

it('finds the modules of a run on a volume, each by its first trainer', () => {
  for (const replica of [10, 2]) put(`edges/replica-${replica}`);
  put('shapes/replica-0');
  put('shapes/replica-x');
  put('lost+found', 'file');
  expect(places()).toEqual([
    ['edges', 'edges/replica-2'],
    ['shapes', 'shapes/replica-0'],
  ]);
});

it('takes a module that is called modules for what it is', () => {
  put('modules/replica-0');
  put('other/replica-0');
  expect(places()).toEqual([
    ['modules', 'modules/replica-0'],
    ['other', 'other/replica-0'],
  ]);
});

it('returns no module for a folder of another kind, or a missing folder', () => {
  expect(places()).toEqual([]);
  expect(modulePlaces(join(run, 'absent'))).toEqual([]);
});
