import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointError, ConfigMismatchError } from './errors.ts';
import { CheckpointStore } from './store.ts';

/** Times that a writer is killed; `make test-kills` does it 200 times. */
const KILLS = Number(process.env.KILLS ?? 30);
/** Milliseconds after the first checkpoint; several are written in that time. */
const MAX_DELAY = 40;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checkpoints-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = ({ keep = 3, configHash = 'abc', at = folder } = {}) =>
  new CheckpointStore(at, { keep, configHash });
const checkpoint = (step: number, elements = 4) => ({
  step,
  samples: step * 32,
  tensors: {
    weight: {
      dtype: 'F32' as const,
      shape: [2, elements / 2],
      data: new Float32Array(elements).fill(step),
    },
  },
  state: { progress: `at ${step}` },
});
const fileOf = (step: number, at = folder) =>
  join(at, `checkpoint-${`${step}`.padStart(9, '0')}.safetensors`);
const newestStep = async (store = open()) => (await store.loadNewest()).checkpoint?.step ?? null;

describe('a checkpoint store', () => {
  it('has no checkpoint in an empty or missing folder', async () => {
    expect(await open().loadNewest()).toEqual({ checkpoint: null, skipped: [] });
    expect(await open({ at: join(folder, 'none') }).loadNewest()).toEqual({
      checkpoint: null,
      skipped: [],
    });
  });

  it('returns what was saved, to another process as well', async () => {
    await open({ at: join(folder, 'new') }).save(checkpoint(7));
    expect(await open({ at: join(folder, 'new') }).loadNewest()).toEqual({
      checkpoint: checkpoint(7),
      skipped: [],
    });
  });

  it('keeps the newest by step, also beyond nine digits', async () => {
    const store = open({ keep: 2 });
    for (const step of [999_999_998, 999_999_999, 1_000_000_000]) {
      await store.save(checkpoint(step));
    }
    expect(readdirSync(folder)).toHaveLength(2);
    expect(await newestStep()).toBe(1_000_000_000);
  });

  it('names files by the step in nine digits', async () => {
    await open().save(checkpoint(12));
    expect(readdirSync(folder)).toEqual(['checkpoint-000000012.safetensors']);
  });

  it('removes incomplete files of a process that died, and no other files', async () => {
    writeFileSync(`${fileOf(3)}.tmp`, 'half');
    writeFileSync(join(folder, 'history.jsonl'), '');
    await open().loadNewest();
    expect(readdirSync(folder)).toContain('checkpoint-000000003.safetensors.tmp');
    await open().save(checkpoint(4));
    expect(readdirSync(folder).sort()).toEqual([
      'checkpoint-000000004.safetensors',
      'history.jsonl',
    ]);
  });

  it('refuses a checkpoint of another configuration with a remedy', async () => {
    await open().save(checkpoint(1));
    const load = open({ configHash: 'def' }).loadNewest();
    await expect(load).rejects.toThrow(ConfigMismatchError);
    await expect(load).rejects.toThrow(/000000001.*abc.*def.*same modules.*another --out/);
  });
});

describe('a damaged checkpoint', () => {
  beforeEach(async () => {
    await open().save(checkpoint(1));
    await open().save(checkpoint(2));
  });

  it.each<[string, (file: string) => void, RegExp]>([
    ['cut short', (file) => truncateSync(file, statSync(file).size - 3), /need 16 bytes/],
    ['empty', (file) => truncateSync(file, 0), /has 0 bytes/],
    ['a folder', (file) => replaceByFolder(file), /it is not a file/],
    ['a pipe', (file) => replaceByPipe(file), /it is not a file/],
    ['a link to nothing', (file) => replaceByLink(file), /it is a link to a missing file/],
  ])('that is %s is passed over with the reason', async (_, damage, why) => {
    damage(fileOf(2));
    const loaded = await open().loadNewest();
    expect(loaded.checkpoint).toEqual(checkpoint(1));
    expect(loaded.skipped).toEqual([{ file: fileOf(2), why: expect.stringMatching(why) }]);
  });

  it('is noticed if any of its bytes changes', async () => {
    const good = readFileSync(fileOf(2));
    for (let at = 0; at < good.length; at += 1) {
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] as number) ^ 0x15;
      writeFileSync(fileOf(2), bytes);
      const { checkpoint: loaded, skipped } = await open().loadNewest();
      expect([at, loaded?.step, skipped.length]).toEqual([at, 1, 1]);
    }
  });

  it('gives null if no other is left', async () => {
    for (const step of [1, 2]) truncateSync(fileOf(step), 20);
    const { checkpoint: loaded, skipped } = await open().loadNewest();
    expect(loaded).toBeNull();
    expect(skipped.map(({ file }) => file)).toEqual([fileOf(2), fileOf(1)]);
  });

  it('does not count as kept, and is removed by the next save', async () => {
    await open().save(checkpoint(9));
    truncateSync(fileOf(9), 20);
    const store = open({ keep: 1 });
    expect(await newestStep(store)).toBe(2);
    await store.save(checkpoint(3));
    expect(readdirSync(folder)).toEqual(['checkpoint-000000003.safetensors']);
  });
});

function replaceByPipe(file: string): void {
  rmSync(file);
  execFileSync('mkfifo', [file]);
}

function replaceByLink(file: string): void {
  rmSync(file);
  symlinkSync(`${file}-nowhere`, file);
}

function replaceByFolder(file: string): void {
  rmSync(file);
  execFileSync('mkdir', [file]);
}

describe('a save that dies or fails', () => {
  it('leaves a newest checkpoint that can be loaded, at any time of kill -9', {
    timeout: 60_000 + 10_000 * KILLS,
  }, async () => {
    let last = 0;
    for (let round = 0; round < KILLS; round += 1) {
      const child = spawn(process.execPath, [
        join(import.meta.dirname, 'testing/save-forever.ts'),
        folder,
      ]);
      let said = '';
      child.stdout.on('data', (chunk) => {
        said += chunk;
      });
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_DELAY));
      child.kill('SIGKILL');
      await once(child, 'close');

      const loaded = await open({ configHash: 'same' }).loadNewest();
      const step = loaded.checkpoint?.step ?? 0;
      expect(loaded.skipped).toEqual([]);
      expect(step).toBeGreaterThanOrEqual(Number(said.trim().split('\n').at(-1)));
      expect(step).toBeGreaterThan(last);
      expect(new Set(loaded.checkpoint?.tensors.weight?.data as Float32Array)).toEqual(
        new Set([step]),
      );
      last = step;
    }
  });

  it('on a full disk reports it, leaves old checkpoints intact and no incomplete file', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
    try {
      const store = open();
      await store.save(checkpoint(1, 150_000));
      const save = store.save(checkpoint(2, 150_000));
      await expect(save).rejects.toThrow(CheckpointError);
      await expect(save).rejects.toThrow(/000000002\.safetensors.*ENOSPC.*free some space/);
      expect(readdirSync(folder)).toEqual(['checkpoint-000000001.safetensors']);
      expect(await newestStep()).toBe(1);

      await store.save(checkpoint(3, 1000)); // there is room for this one
      expect(await newestStep()).toBe(3);
    } finally {
      execFileSync('umount', [folder]);
    }
  });

  it('under a path that is not a folder reports it', async () => {
    writeFileSync(join(folder, 'file'), '');
    const save = open({ at: join(folder, 'file', 'sub') }).save(checkpoint(1));
    await expect(save).rejects.toThrow(CheckpointError);
    await expect(save).rejects.toThrow(/checkpoint-000000001\.safetensors.*ENOTDIR/);
  });
});
