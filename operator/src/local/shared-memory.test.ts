import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { expect, it } from 'vitest';
import { makeSharedFolder } from './shared-memory.ts';

/** Creates a logger that records its messages. */
function openLines() {
  const lines: string[] = [];
  const log = pino({}, { write: (line) => lines.push(JSON.parse(line).msg) });
  return { lines, log };
}

it('makes a folder in memory that only its owner may read, and removes it with all that is in it', () => {
  const { log } = openLines();
  const folder = makeSharedFolder(1000, log);
  if (!folder) throw new Error('this machine has no /dev/shm');
  expect(statSync(folder.path).mode & 0o777).toBe(0o700);
  writeFileSync(join(folder.path, 'file'), 'bytes');
  folder.remove();
  expect(existsSync(folder.path)).toBe(false);
});

it('makes none where there is too little room, and says how much is needed', () => {
  const { lines, log } = openLines();
  expect(makeSharedFolder(1e15, log)).toBeNull();
  expect(lines).toEqual([expect.stringMatching(/through NATS.*are free.*2 PB are needed/)]);
});

it.each(['/', '/dev/null/none'])('makes none in %s, which is no memory', (memory) => {
  const { lines, log } = openLines();
  expect(makeSharedFolder(1000, log, memory)).toBeNull();
  expect(lines).toEqual([expect.stringContaining('activations go through NATS')]);
});
