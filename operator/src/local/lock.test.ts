import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunFolderError } from './folder.ts';
import { checkUnlocked, lockFolder } from './lock.ts';

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'gim-lock-'));
});
afterEach(() => rmSync(out, { recursive: true }));

const lockFile = () => join(out, 'run.lock');
const write = (changes: object) =>
  writeFileSync(
    lockFile(),
    JSON.stringify({ ...JSON.parse(readFileSync(lockFile(), 'utf8')), ...changes }),
  );

it('keeps a second run out, and names its owner', () => {
  const unlock = lockFolder(out);
  const owner = new RegExp(
    `another run trains in .*: process ${process.pid} on ${hostname()}, since`,
  );
  expect(() => lockFolder(out)).toThrow(owner);
  expect(() => checkUnlocked(out)).toThrow(RunFolderError);
  unlock();
  expect(existsSync(lockFile())).toBe(false);
  lockFolder(out)();
  expect(readdirSync(out)).toEqual([]);
});

it('is replaced once its process has ended', async () => {
  const child = spawn(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    '--input-type=module',
    '-e',
    `import { lockFolder } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
     lockFolder(${JSON.stringify(out)}); console.log('locked'); setInterval(() => {}, 1000);`,
  ]);
  await once(child.stdout, 'data');
  expect(() => lockFolder(out)).toThrow(`process ${child.pid}`);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  expect(() => checkUnlocked(out)).not.toThrow();
  lockFolder(out)();
});

it('of a process that had the same number is replaced', () => {
  lockFolder(out);
  write({ started: 'an earlier boot' });
  lockFolder(out)();
  expect(readdirSync(out)).toEqual([]);
});

it('of another machine stays, and the message says how to remove it', () => {
  lockFolder(out);
  write({ host: 'elsewhere' });
  expect(() => lockFolder(out)).toThrow(
    /on elsewhere.*if that process has ended, remove .*run\.lock/,
  );
});

it('that is damaged is replaced', () => {
  writeFileSync(lockFile(), '{');
  lockFolder(out)();
  expect(readdirSync(out)).toEqual([]);
});
