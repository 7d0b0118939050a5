import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findNatsServer } from './nats-binary.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gim-binary-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Creates a program that prints the given version. */
function server(version: string): string {
  const file = join(folder, `nats-server-${version}`);
  writeFileSync(file, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  chmodSync(file, 0o755);
  return file;
}

it('takes the one that is named, then NATS_SERVER, then the project’s own', async () => {
  const [first, second] = [server('2.14.0'), server('3.0.0')];
  expect(await findNatsServer(first, { NATS_SERVER: second })).toBe(first);
  expect(await findNatsServer(undefined, { NATS_SERVER: second })).toBe(second);
  expect(await findNatsServer(undefined, {})).toMatch(/node_modules\/\.bin\/nats-server$/);
});

it('refuses one that is too old', async () => {
  await expect(findNatsServer(server('2.13.9'), {})).rejects.toThrow('2.14 or newer is needed');
});

it('refuses what is no nats-server', async () => {
  await expect(findNatsServer('/bin/true', {})).rejects.toThrow('/bin/true cannot be run');
  await expect(findNatsServer(join(folder, 'none'), {})).rejects.toThrow('none cannot be run');
});
