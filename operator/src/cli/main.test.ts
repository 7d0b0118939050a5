import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gim, tinyRun } from '../../../test/support/gim.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gim-cli-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('gim validate', () => {
  it('ends with 0 when every file is right', async () => {
    const { code, output } = await gim('validate', tinyRun(folder));
    expect(output).toContain('3 modules');
    expect(code).toBe(0);
  });

  it('prints every validation error of every file and exits with 1', async () => {
    const right = tinyRun(folder);
    const wrong = tinyRun(join(folder, 'wrong'), (text) =>
      text.replace('batchSize: 16', 'batchSize: 0').replace('format: digits', 'format: tarot'),
    );
    const broken = join(folder, 'broken.yaml');
    writeFileSync(broken, 'a: [');
    const { code, output } = await gim('validate', wrong, right, broken);
    expect(code).toBe(1);
    expect(output).toMatch(new RegExp(`${wrong}:\\d+:\\d+ spec.batchSize`));
    expect(output).toMatch(new RegExp(`${wrong}:\\d+:\\d+ spec.data.format`));
    expect(output).toContain(`${broken}:1`);
    expect(output).toContain(`${right}: valid, 3 modules`);
  });
});

describe('gim', () => {
  it('refuses a NATS URL with a password, which reaches no output and no file', async () => {
    const file = tinyRun(folder);
    const out = join(folder, 'out');
    const url = 'nats://me:s3cret@127.0.0.1:99999';
    for (const args of [
      ['run', file, '--out', out, '--nats', url],
      ['render', file, '--nats', url],
    ]) {
      const { code, output } = await gim(...args);
      expect(output).toContain('the NATS URL holds a user or a password');
      expect(output).not.toContain('s3cret');
      expect(code).toBe(1);
    }
    const files = readdirSync(out, { recursive: true, encoding: 'utf8', withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((text) => text.includes('s3cret'))).toEqual([]);
  });

  it('replaces terminal escapes in what it prints', async () => {
    const { output } = await gim('validate', join(folder, '\x1b]0;title\x07.yaml'));
    expect(output).toContain('\ufffd]0;title\ufffd.yaml');
    expect(output).not.toContain('\x1b');
    expect(output).not.toContain('\x07');
  });

  it('says in one line what is wrong, without a stack', async () => {
    for (const args of [
      ['run', join(folder, 'none.yaml')],
      ['evaluate', folder],
      ['report', folder],
      ['export', folder, '--to', join(folder, 'x')],
      ['import', tinyRun(folder), join(folder, 'none.safetensors'), '--out', join(folder, 'x')],
      ['run', tinyRun(folder), '--nats-port', 'high'],
    ]) {
      const { code, output } = await gim(...args);
      expect(code, args.join(' ')).toBe(1);
      expect(output.trim().split('\n'), args.join(' ')).toHaveLength(1);
    }
  });
});
