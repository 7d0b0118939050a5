import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { below, checkLinks, FolderError, makeFolder, writeWhole } from './own-folder.ts';

let parent: string;
let folder: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'gim-own-'));
  folder = join(parent, 'run');
  mkdirSync(join(folder, 'modules'), { recursive: true });
  mkdirSync(join(parent, 'precious'));
  writeFileSync(join(parent, 'precious/file'), 'kept');
});
afterEach(() => rmSync(parent, { recursive: true }));

describe('a path below a folder', () => {
  it.each(['..', '.', '', '../../precious', 'a/b', '/etc', 'a\\b', 'a\0b'])(
    'is refused for the name %j',
    (name) => {
      expect(() => below(folder, 'modules', name)).toThrow(FolderError);
    },
  );

  it('never leaves the folder, for any names', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 12 }), { maxLength: 3 }), (names) => {
        try {
          expect(below(folder, ...names).startsWith(folder)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(FolderError);
        }
      }),
      { seed: 29, numRuns: 2000 },
    );
  });

  it('is refused through a link that leads out, and followed through one that stays', () => {
    symlinkSync(join(parent, 'precious'), join(folder, 'modules/out'));
    symlinkSync(join(parent, 'nothing'), join(folder, 'modules/dangling'));
    mkdirSync(join(folder, 'modules/real'));
    symlinkSync(join(folder, 'modules/real'), join(folder, 'modules/in'));
    expect(() => below(folder, 'modules', 'out', 'file')).toThrow(/is a link that leads out of/);
    expect(() => below(folder, 'modules', 'dangling')).toThrow(FolderError);
    expect(below(folder, 'modules', 'in', 'file')).toBe(join(folder, 'modules/in/file'));
    expect(() => checkLinks(folder)).toThrow(FolderError);
    rmSync(join(folder, 'modules/out'));
    rmSync(join(folder, 'modules/dangling'));
    expect(() => checkLinks(folder)).not.toThrow();
  });
});

describe('a file that is written whole', () => {
  it('replaces a link at the file or its temporary name, and leaves the target of the link alone', () => {
    for (const link of ['a', 'a.tmp'])
      symlinkSync(join(parent, 'precious/file'), join(folder, link));
    writeWhole(join(folder, 'a'), 'new');
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('new');
    expect(readFileSync(join(parent, 'precious/file'), 'utf8')).toBe('kept');
  });

  it('names the file and the remedy where it cannot be written', () => {
    expect(() => writeWhole(join(folder, 'none/a'), '')).toThrow(
      /cannot write .*none\/a: ENOENT.*; check the path/,
    );
    expect(() => writeWhole('/dev/full/a', '')).toThrow(/use a path whose parents/);
  });
});

describe('making a folder', () => {
  it('creates all missing folders and returns the outermost', () => {
    expect(makeFolder(join(folder, 'x/y/z'))).toBe(join(folder, 'x'));
    expect(existsSync(join(folder, 'x/y/z'))).toBe(true);
    expect(makeFolder(join(folder, 'x/y'))).toBeUndefined();
  });

  it('ends where no folder can be made', () => {
    expect(() => makeFolder('/proc/gim/x')).toThrow(/cannot create the folder \/proc\/gim: ENOENT/);
    expect(() => makeFolder(join(parent, 'precious/file/x'))).toThrow(
      /cannot create the folder .*file\/x: ENOTDIR.*; use a path whose parents are all folders/,
    );
    expect(() => makeFolder(join(parent, 'precious/file'))).toThrow(/is a file; give the path/);
  });
});
