import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLEANUP_PROGRAM } from './cleanup-program.ts';

describe('the program of the clean-up Job', () => {
  let claim: string;
  beforeEach(() => {
    claim = mkdtempSync(join(tmpdir(), 'gim-claim-'));
  });
  afterEach(() => rmSync(claim, { recursive: true }));

  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(claim, file)), { recursive: true });
    writeFileSync(join(claim, file), text);
  };
  const trainer = (place: string, uid: string) => {
    write(`${place}/module.json`, JSON.stringify({ uid }));
    write(`${place}/checkpoint-000000001.safetensors`, 'weights');
  };
  const cleanUp = (uid: string) =>
    execFileSync(process.execPath, ['-e', CLEANUP_PROGRAM, join(claim, 'small'), uid]);
  const isThere = (file: string) => existsSync(join(claim, file));

  test('removes the whole folder where all of it is the run\u2019s', () => {
    trainer('small/first/replica-0', 'a');
    trainer('small/first/replica-1', 'a');
    trainer('small/second/replica-0', 'a');
    trainer('other/first/replica-0', 'b');
    cleanUp('a');
    expect(isThere('small')).toBe(false);
    expect(isThere('other/first/replica-0/module.json')).toBe(true);
  });

  test('leaves what an earlier run of the name, or anybody else, has put there', () => {
    trainer('small/first/replica-0', 'a');
    trainer('small/first/replica-1', 'earlier');
    write('small/notes.txt', 'mine');
    write('small/thesis/draft/chapter.txt', 'mine');
    write('small/broken/replica-0/module.json', '{');
    cleanUp('a');
    expect(isThere('small/first/replica-0')).toBe(false);
    for (const kept of [
      'small/first/replica-1/checkpoint-000000001.safetensors',
      'small/notes.txt',
      'small/thesis/draft/chapter.txt',
      'small/broken/replica-0/module.json',
    ]) {
      expect(isThere(kept), kept).toBe(true);
    }
  });

  test('follows no link: not of the run, a module, a trainer or the marker', () => {
    trainer('elsewhere/first/replica-0', 'a');
    mkdirSync(join(claim, 'small/first/replica-9'), { recursive: true });
    symlinkSync(join(claim, 'elsewhere/first'), join(claim, 'small/second'));
    symlinkSync(join(claim, 'elsewhere/first/replica-0'), join(claim, 'small/first/replica-0'));
    symlinkSync(
      join(claim, 'elsewhere/first/replica-0/module.json'),
      join(claim, 'small/first/replica-9/module.json'),
    );
    cleanUp('a');
    expect(isThere('elsewhere/first/replica-0/module.json')).toBe(true);
    expect(isThere('small/first/replica-9')).toBe(true);
    rmSync(join(claim, 'small'), { recursive: true });
    symlinkSync(join(claim, 'elsewhere'), join(claim, 'small'));
    cleanUp('a');
    expect(isThere('elsewhere/first/replica-0/module.json')).toBe(true);
  });

  test('does nothing where no trainer has written', () => {
    cleanUp('a');
    expect(isThere('small')).toBe(false);
  });
});
