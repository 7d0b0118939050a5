import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../../test/support/gim.ts';
import { Pulse } from './heartbeat.ts';
import { Trainer } from './trainer-process.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gim-pulse-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the sign of life of a trainer', () => {
  it('counts from when the file was last seen to change, whatever its date says', () => {
    const pulse = new Pulse(join(folder, 'progress'));
    expect(pulse.silentMs(0)).toBe(0);
    expect(pulse.silentMs(50_000)).toBe(0);
    writeFileSync(pulse.file, '');
    expect(pulse.silentMs(60_000)).toBe(0);
    expect(pulse.silentMs(61_000)).toBe(1000);
    utimesSync(pulse.file, 0, 1000);
    expect(pulse.silentMs(70_000)).toBe(0);
    expect(pulse.silentMs(75_000)).toBe(5000);
  });

  it('is not that of the process before', () => {
    writeFileSync(join(folder, 'progress'), '');
    expect(new Pulse(join(folder, 'progress')).silentMs(0)).toBe(0);
    expect(new Pulse(join(folder, 'progress')).silentMs(9e9)).toBe(0);
  });

  it('has a process that hangs killed and started again, and one that lives left alone', async () => {
    const start = (module: string, script: string) => {
      const trainer = new Trainer({
        module,
        replica: 0,
        config: '',
        folder: join(folder, module),
        natsUrl: '',
        command: ['/bin/sh', '-c', script],
        env: process.env,
        log: pino({ level: 'silent' }),
      });
      trainer.start();
      return trainer;
    };
    const hung = start('hung', 'date > "$PROGRESS_FILE"; sleep 100');
    const alive = start('alive', 'while :; do date > "$PROGRESS_FILE"; sleep 0.02; done');
    const unborn = start('unborn', 'sleep 100');
    const end = Date.now() + 30_000;
    while (hung.restarts === 0 && Date.now() < end) {
      for (const trainer of [hung, alive, unborn]) trainer.killIfHung(800);
      await sleep(10);
    }
    expect([hung, alive, unborn].map(({ restarts }) => restarts)).toEqual([1, 0, 0]);
    await until(() => hung.state === 'running', 'the hung process to run again');
    await Promise.all([hung, alive, unborn].map((trainer) => trainer.stop(1000)));
  });
});
