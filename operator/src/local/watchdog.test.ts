import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';

/** Program that starts `sleep`, prints its process id and waits forever. */
const PARENT = `
  import { spawn } from 'node:child_process';
  import { killWithParent } from '${join(import.meta.dirname, 'watchdog.ts')}';
  const child = spawn('/bin/sleep', ['1000'], { detached: true });
  killWithParent(child, Number(process.env.GRACE));
  console.log(child.pid);
  setInterval(() => {}, 1000);
`;

it.each(['0', '1'])('kills a process whose parent was killed, after %s s', async (grace) => {
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', PARENT], {
    env: { ...process.env, GRACE: grace },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  const pid = Number(line);
  const isAlive = () => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  expect(isAlive()).toBe(true);
  parent.kill('SIGKILL');
  await expect.poll(isAlive).toBe(false);
});

it('removes a folder with all that is in it when the parent was killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gim-watchdog-'));
  writeFileSync(join(folder, 'file'), '');
  const script = `
    import { removeWithParent } from '${join(import.meta.dirname, 'watchdog.ts')}';
    removeWithParent('${folder}');
    console.log('watched');
    setInterval(() => {}, 1000);
  `;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(createInterface({ input: parent.stdout }), 'line');
  expect(existsSync(folder)).toBe(true);
  parent.kill('SIGKILL');
  await expect.poll(() => existsSync(folder)).toBe(false);
});
