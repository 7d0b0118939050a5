import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EXIT } from '@greedy-infomax/crds';
import { afterEach, expect, it } from 'vitest';
import { checkpoints, gim, startGim, tempFolder, tinyRun, until } from '../support/gim.ts';
import { startNats } from '../support/nats.ts';

/** Runs on this machine whose terminal, reader, disk or NATS server is not theirs alone. */

const ROOT = resolve(import.meta.dirname, '../..');
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function place(changes?: (run: string) => string): { file: string; out: string } {
  const folder = tempFolder();
  folders.push(folder);
  return { file: tinyRun(folder, changes), out: join(folder, 'out') };
}

const shorter = (run: string) => run.replace('samples: 8000', 'samples: 2000');

/** Runs a shell command; resolves with the exit code and what it printed. */
function shell(command: string) {
  const child = spawn('bash', ['-c', command], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const exited = new Promise<number | null>((done) => child.on('close', done));
  return { child, exited, output: () => output };
}

it('a run under nohup outlives its terminal', async () => {
  const { file, out } = place();
  const run = shell(`trap '' HUP; exec bin/gim run ${file} --out ${out} --no-evaluate`);
  await until(() => checkpoints(out, 'three').length > 0, 'the first checkpoint');
  run.child.kill('SIGHUP');
  expect(await run.exited, run.output()).toBe(0);
  expect(existsSync(join(out, 'summary.json'))).toBe(true);
});

it('a run without nohup stops with checkpoints when its terminal goes', async () => {
  const { file, out } = place();
  const run = startGim('run', file, '--out', out, '--no-evaluate');
  await until(() => checkpoints(out, 'three').length > 0, 'the first checkpoint');
  run.child.kill('SIGHUP');
  expect(await run.exited, run.output()).toBe(130);
  expect(run.output()).toContain('stopped with checkpoints');
});

it.each([
  ['whose reader ends', '| head -1'],
  ['whose output is on a full disk', '> /dev/full'],
])('a run %s goes on', async (_, end) => {
  const { file, out } = place(shorter);
  const run = shell(`set -o pipefail; bin/gim run ${file} --out ${out} --no-evaluate ${end}`);
  expect(await run.exited, run.output()).toBe(0);
  expect(run.output()).not.toContain('Error');
  expect(existsSync(join(out, 'summary.json'))).toBe(true);
});

it('a trainer whose log is on a full disk ends', async () => {
  const full = openSync('/dev/full', 'w');
  const trainer = spawn(process.execPath, ['trainer/src/main.ts'], {
    cwd: ROOT,
    stdio: ['ignore', full, full],
    env: { ...process.env, TERMINATION_LOG: '/dev/full' },
  });
  expect(await new Promise((done) => trainer.on('close', done))).toBe(EXIT.configuration);
});

it('a run on a full disk stops when asked, and says what it could not keep', async () => {
  const { file, out } = place();
  const disk = join(out, '..', 'disk');
  execFileSync('mkdir', [disk]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
  try {
    const run = startGim('run', file, '--out', join(disk, 'out'), '--no-evaluate');
    await until(() => run.output().includes('ENOSPC'), 'the full disk');
    run.child.kill('SIGINT');
    expect(await run.exited, run.output()).toBe(130);
    expect(run.output()).not.toContain('stopped with checkpoints');
    expect(run.output()).toMatch(
      /module \w+, trainer 0 stopped without a checkpoint of its last step \(cannot write .*ENOSPC/,
    );
  } finally {
    execFileSync('umount', [disk]);
  }
});

it('two runs of one name on one NATS server each train as if alone', async () => {
  const nats = await startNats();
  const { file, out } = place((run) =>
    shorter(run).replace('depth: 64', 'depth: 64\n    whenFull: block'),
  );
  const trained = async (name: string) => {
    const folder = join(out, name);
    const args = ['--no-evaluate', '--no-shared-memory', '--nats', nats.url];
    const { code, output } = await gim('run', file, '--out', folder, ...args);
    expect(code, output).toBe(0);
    const newest = checkpoints(folder, 'three').at(-1) ?? '';
    return createHash('sha256').update(readFileSync(newest)).digest('hex');
  };
  try {
    const alone = await trained('alone');
    expect(await Promise.all([trained('a'), trained('b')])).toEqual([alone, alone]);
  } finally {
    await nats.stop();
  }
});
