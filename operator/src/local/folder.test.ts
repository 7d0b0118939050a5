import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeConfig } from '../report/testing/run.ts';
import { checkFresh, checkHoldsRun, checkResumable, RunFolderError } from './folder.ts';

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'gim-folder-'));
});
afterEach(() => rmSync(out, { recursive: true }));

describe('the folder of a run on a volume', () => {
  const config = makeConfig('edges', 0);
  beforeEach(() => {
    const place = join(out, 'edges/replica-0');
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'module.json'), JSON.stringify(config));
  });

  it('is a run to read', () => {
    expect(() => checkHoldsRun(out)).not.toThrow();
  });

  it('is no place to train, neither anew nor on', () => {
    expect(() => checkFresh(out)).toThrow(RunFolderError);
    expect(() => checkResumable(out, [config])).toThrow(/of a run on a cluster; give another/);
  });
});

it('a folder without a run is told from one with a run', () => {
  expect(() => checkHoldsRun(out)).toThrow(/holds no run; give the folder/);
  expect(() => checkFresh(out)).not.toThrow();
});
