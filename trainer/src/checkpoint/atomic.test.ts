import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { writeAtomically } from './atomic.ts';

/** Calls to the file system in order; each runs for real and is recorded when it has ended. */
const calls = vi.hoisted(() => [] as string[]);
let root: string;

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const record = (call: string, ...files: string[]) =>
    calls.push([call, ...files.map((file) => relative(root, file) || '.')].join(' '));
  const recorded = (handle: FileHandle, file: string) =>
    new Proxy(handle, {
      get: (target, key: keyof FileHandle) => {
        const method = target[key];
        if (typeof method !== 'function') return method;
        return async (...args: unknown[]) => {
          const result = await Reflect.apply(method, target, args);
          record(String(key), file);
          return result;
        };
      },
    });
  return {
    ...real,
    open: async (file: string, flags: string) => recorded(await real.open(file, flags), file),
    rename: async (from: string, to: string) => {
      await real.rename(from, to);
      record('rename', from, to);
    },
  };
});

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'atomic-'));
  calls.length = 0;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

it('syncs the content before the rename, and the folder after it', async () => {
  await writeAtomically(join(root, 'file'), Uint8Array.of(1, 2));
  expect([...readFileSync(join(root, 'file'))]).toEqual([1, 2]);
  expect(calls).toEqual([
    'writeFile file.tmp',
    'sync file.tmp',
    'close file.tmp',
    'rename file.tmp file',
    'sync .',
    'close .',
  ]);
});

it('syncs the parent of each folder that it makes', async () => {
  await writeAtomically(join(root, 'a/b/file'), Uint8Array.of(1));
  const after = calls.slice(calls.indexOf('rename a/b/file.tmp a/b/file') + 1);
  expect(after.filter((call) => call.startsWith('sync'))).toEqual(['sync a/b', 'sync a', 'sync .']);
});
