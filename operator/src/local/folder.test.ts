import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeConfig } from '../report/testing/run.ts';
import {
  checkFresh,
  checkHoldsRun,
  checkResumable,
  clearLeftovers,
  RunFolderError,
  writeModules,
} from './folder.ts';

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

describe('a folder that somebody else made', () => {
  let precious: string;
  beforeEach(() => {
    precious = mkdtempSync(join(tmpdir(), 'gim-precious-'));
    writeFileSync(join(precious, 'file'), 'kept');
  });
  afterEach(() => {
    expect(existsSync(join(precious, 'file'))).toBe(true);
    rmSync(precious, { recursive: true });
  });

  it.each(['../../precious', '..', '/etc', 'a/b', 'UPPER', 'x'.repeat(41)])(
    'is refused, and nothing removed, for a module called %j',
    (name) => {
      const place = join(out, 'modules/first');
      mkdirSync(place, { recursive: true });
      writeFileSync(
        join(place, 'module.json'),
        JSON.stringify({ ...makeConfig('first', 0), name }),
      );
      expect(() => checkFresh(out)).toThrow(/module\.json does not hold what a run writes there/);
      expect(() => clearLeftovers(out)).toThrow(/module\.json/);
      const leaves = /[/.]/.test(name);
      const written = () => writeModules(join(out, 'new'), [{ ...makeConfig('first', 0), name }]);
      if (leaves) expect(written).toThrow(/is not the name of a file or folder/);
      expect(existsSync(join(place, 'module.json'))).toBe(true);
    },
  );

  it('is refused for a module in the folder of another', () => {
    const place = join(out, 'modules/first');
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'module.json'), JSON.stringify(makeConfig('second', 0)));
    expect(() => clearLeftovers(out)).toThrow(
      /is of module second, but lies in the folder of first/,
    );
  });

  it.each(['modules', 'modules/first', 'pictures', 'run.log', 'modules/first/history.jsonl'])(
    'is refused where %s is a link that leads out of it',
    (link) => {
      writeModules(out, [makeConfig('first', 0)]);
      rmSync(join(out, link), { recursive: true, force: true });
      symlinkSync(precious, join(out, link));
      for (const check of [
        () => checkFresh(out),
        () => checkHoldsRun(out),
        () => clearLeftovers(out),
        () => checkResumable(out, [makeConfig('first', 0)]),
      ]) {
        expect(check).toThrow();
      }
    },
  );

  it('is refused for a new run unless it is empty or a run\u2019s', () => {
    expect(() => checkFresh(precious)).toThrow(/holds files that no run has made \(file\)/);
    expect(() => checkFresh(join(precious, 'none'))).not.toThrow();
    const mounts = join(precious, 'mounts');
    mkdirSync(join(mounts, 'nats/lost+found'), { recursive: true });
    expect(() => checkFresh(mounts)).not.toThrow();
    writeFileSync(join(mounts, 'nats/lost+found/note'), '');
    expect(() => checkFresh(mounts)).toThrow(/holds files that no run has made \(nats\)/);
    expect(() => checkFresh(join(precious, 'file'))).toThrow(/ENOTDIR.*whose parents/);
  });
});

it('a run goes on only with the data that it began with', () => {
  const config = makeConfig('first', 0);
  writeModules(out, [config]);
  expect(() => checkResumable(out, [config])).not.toThrow();
  const source = { ...config.source, data: { format: 'cifar10', path: '/data' } };
  expect(() => checkResumable(out, [{ ...config, source } as typeof config])).toThrow(
    /module first: data changed/,
  );
});
