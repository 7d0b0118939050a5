import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { natsPid, until } from '../../../test/support/gim.ts';
import { standInRun } from '../../../test/support/local-run.ts';
import { startNats } from '../../../test/support/nats.ts';
import type { ProgressState } from './progress.ts';
import { runLocally } from './run.ts';

let folder: string;
let out: string;
let stop: AbortController;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gim-run-'));
  out = join(folder, 'out');
  stop = new AbortController();
});
afterEach(() => {
  delete process.env.STAND_IN_EXIT;
  rmSync(folder, { recursive: true, force: true });
});

/** Returns the start logs of the fake trainer, one per attempt. */
function starts(module: string): { pid: number; step: number }[] {
  const log = join(out, 'modules', module, 'trainer.log');
  if (!existsSync(log)) return [];
  return readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .filter((line) => line.includes('"starting"'))
    .map((line) => JSON.parse(line));
}

const newestCheckpoint = (module: string): number => {
  const place = join(out, 'modules', module);
  if (!existsSync(place)) return 0;
  const names = readdirSync(place).filter((name) => name.endsWith('.safetensors'));
  return Number(/\d+/.exec(names.toSorted().at(-1) ?? '')?.[0] ?? 0);
};

const bothHaveCheckpoints = () =>
  until(() => newestCheckpoint('one') > 0 && newestCheckpoint('two') > 0, 'two checkpoints');

const trained = (summary: { modules: { samplesTrained: number }[] }) =>
  summary.modules.map(({ samplesTrained }) => samplesTrained);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('runLocally', () => {
  it('trains every module to its end and leaves a summary, a report and nothing running', async () => {
    const summary = await runLocally(standInRun(folder, 10), stop.signal);
    expect(trained(summary)).toEqual([160, 160]);
    expect(summary.versions['nats-server']).toMatch(/^\d+\.\d+\.\d+/);
    expect(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'))).toEqual(summary);
    expect(existsSync(join(out, 'report.html'))).toBe(true);
    expect(readFileSync(join(out, 'run.yaml'), 'utf8')).toContain('name: stand-in');
    expect(starts('one')).toHaveLength(1);
    expect(natsPid(out)).toBeUndefined();
  });

  it('has activations go through memory, of which it leaves nothing, unless it is told not to', async () => {
    const paths = () =>
      readFileSync(join(out, 'run.log'), 'utf8')
        .split('\n')
        .filter((line) => line.includes('activations go through memory'))
        .map((line) => (JSON.parse(line) as { path: string }).path);
    await runLocally(standInRun(folder, 2), stop.signal);
    const [path] = paths();
    expect(path).toMatch(/^\/dev\/shm\/gim-/);
    expect(existsSync(path as string)).toBe(false);
    rmSync(out, { recursive: true });
    await runLocally({ ...standInRun(folder, 2), sharedMemory: false }, stop.signal);
    expect(paths()).toEqual([]);
  });

  it('trains one module after another where the run says so', async () => {
    const notYet: number[] = [];
    const options = standInRun(folder, 10, {
      edit: (text) => text.replace('objective:', 'order: iterative\n  objective:'),
    });
    const show = ({ modules: [one, two] }: ProgressState) => {
      if (two?.process === 'idle') notYet.push(one?.report?.samplesTrained ?? 0);
      else expect(one?.report?.samplesTrained).toBe(160);
    };
    const summary = await runLocally(
      { ...options, screen: { ...options.screen, show } },
      stop.signal,
    );
    expect(trained(summary)).toEqual([160, 160]);
    expect(notYet.length).toBeGreaterThan(0);
  });

  it('starts a killed trainer again, which goes on from its checkpoint', async () => {
    const run = runLocally(standInRun(folder, 60), stop.signal);
    await bothHaveCheckpoints();
    process.kill(starts('two')[0]?.pid as number, 'SIGKILL');
    expect(trained(await run)).toEqual([960, 960]);
    expect(starts('two')).toHaveLength(2);
    expect(starts('two')[1]?.step).toBeGreaterThan(0);
    expect(starts('one')).toHaveLength(1);
  });

  it('gives a module up that ends with a final code, and stops the others with checkpoints', async () => {
    process.env.STAND_IN_EXIT = 'two:65';
    const error: Error = await runLocally(standInRun(folder, 1000), stop.signal).catch((e) => e);
    expect(error.message).toContain('module two failed: made to fail');
    expect(error.message).toContain('not a finite number');
    expect(error.message).toContain(join(out, 'modules/two/trainer.log'));
    expect(error.message).toContain('last checkpoint: none');
    expect(starts('two')).toHaveLength(1);
    expect(newestCheckpoint('one')).toBeGreaterThan(0);
    expect(isAlive(starts('one')[0]?.pid as number)).toBe(false);
    expect(natsPid(out)).toBeUndefined();
  });

  it('starts a trainer again that ends with code 0 and no proof', async () => {
    process.env.STAND_IN_EXIT = 'two:0';
    const run = runLocally(standInRun(folder, 1000), stop.signal).catch((error: Error) => error);
    await until(() => starts('two').length > 1, 'a second start');
    stop.abort();
    expect(String(await run)).toMatch(/stopped/);
  });

  it('quotes the log of a trainer that never reported', async () => {
    const trainerCommand = ['/bin/sh', '-c', 'echo no such luck; exit 64'];
    await expect(
      runLocally(standInRun(folder, 10, { trainerCommand }), stop.signal),
    ).rejects.toThrow('no such luck');
  });

  it('goes on when the NATS server is killed', async () => {
    const run = runLocally(standInRun(folder, 80), stop.signal);
    await bothHaveCheckpoints();
    const killed = natsPid(out) as number;
    process.kill(killed, 'SIGKILL');
    await until(() => ![undefined, killed].includes(natsPid(out)), 'another nats-server');
    expect(trained(await run)).toEqual([1280, 1280]);
    expect(starts('one')).toHaveLength(1);
    expect(natsPid(out)).toBeUndefined();
  });

  it('says which port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(
      runLocally(standInRun(folder, 10, { natsPort: port }), stop.signal),
    ).rejects.toThrow(`port ${port} on 127.0.0.1`);
    other.close();
  });

  it('leaves no streams on a server of the user', async () => {
    const nats = await startNats();
    const connection = await connect({ servers: nats.url });
    const names = async () =>
      (await (await jetstreamManager(connection)).streams.names().next()).toSorted();
    const run = runLocally(standInRun(folder, 40, { nats: { url: nats.url } }), stop.signal);
    await bothHaveCheckpoints();
    const [state, edge] = await names();
    expect(state).toMatch(/^GIM_local-[0-9a-f]{8}_stand-in$/);
    expect(edge).toBe(`${state}_one`);
    await run;
    expect(await names()).toEqual([]);
    expect(existsSync(join(out, 'nats'))).toBe(false);
    await connection.close();
    await nats.stop();
  });

  it('says so when nothing answers at the URL', async () => {
    await expect(
      runLocally(standInRun(folder, 10, { nats: { url: 'nats://127.0.0.1:1' } }), stop.signal),
    ).rejects.toThrow('no NATS server answers at nats://127.0.0.1:1');
  });

  it('stops with checkpoints when it is asked to, and goes on with --resume', async () => {
    const run = runLocally(standInRun(folder, 100), stop.signal);
    await bothHaveCheckpoints();
    stop.abort();
    await expect(run).rejects.toThrow('--resume');
    expect(isAlive(starts('one')[0]?.pid as number)).toBe(false);
    expect(natsPid(out)).toBeUndefined();
    const before = newestCheckpoint('one');

    const again = new AbortController().signal;
    await expect(runLocally(standInRun(folder, 100), again)).rejects.toThrow('--resume');
    const summary = await runLocally(standInRun(folder, 100, { resume: true }), again);
    expect(trained(summary)).toEqual([1600, 1600]);
    expect(starts('one')[1]?.step).toBe(before);
  });

  it('stops its server and ends although it cannot write its record any more', async () => {
    const run = runLocally(standInRun(folder, 300), stop.signal);
    await bothHaveCheckpoints();
    const server = natsPid(out) as number;
    mkdirSync(join(out, 'run.json.tmp')); // makes every write of run.json fail, like a full disk
    stop.abort();
    await expect(run).rejects.toThrow(/stopped with checkpoints/);
    expect(isAlive(server)).toBe(false);
    expect(existsSync(join(out, 'run.lock'))).toBe(false);
  });

  it('keeps a second run out of its folder, which goes on undisturbed', async () => {
    const run = runLocally(standInRun(folder, 30), stop.signal);
    await until(() => existsSync(join(out, 'run.lock')), 'the lock');
    const second = runLocally({ ...standInRun(folder, 30), resume: true }, stop.signal);
    await expect(second).rejects.toThrow(/another run trains in .*: process \d+ on .*, since/);
    expect(trained(await run)).toEqual([480, 480]);
  });

  it('refuses to resume other modules, and says what changed', async () => {
    await runLocally(standInRun(folder, 5), stop.signal);
    const wider = (text: string) => text.replace('channels: 16', 'channels: 32');
    const renamed = (text: string) => text.replace('name: two', 'name: zwei');
    for (const [edit, what] of [
      [wider, 'module two: layers changed'],
      [renamed, 'modules were one, two, now they are one, zwei'],
    ] as const) {
      await expect(
        runLocally(standInRun(folder, 5, { resume: true, edit }), stop.signal),
      ).rejects.toThrow(what);
    }
  });

  it('refuses to resume where there is nothing', async () => {
    await expect(runLocally(standInRun(folder, 5, { resume: true }), stop.signal)).rejects.toThrow(
      'holds no run to go on from',
    );
  });

  it('trains a finished run further when it gets a larger budget', async () => {
    await runLocally(standInRun(folder, 5), stop.signal);
    const summary = await runLocally(standInRun(folder, 10, { resume: true }), stop.signal);
    expect(trained(summary)).toEqual([160, 160]);
    expect(starts('two')[1]?.step).toBe(5);
  });

  it('takes trainers and server with it when it is killed itself', async () => {
    const script = join(import.meta.dirname, '../../../test/support/local-run.ts');
    const parent = spawn(process.execPath, [script, folder, '1000'], { stdio: 'ignore' });
    await bothHaveCheckpoints();
    const server = natsPid(out) as number;
    const pids = [server, ...['one', 'two'].map((module) => starts(module)[0]?.pid as number)];
    expect(pids.every(isAlive)).toBe(true);
    parent.kill('SIGKILL');
    await until(() => !pids.some(isAlive), 'every process to end');
  });
});

describe('a module with several trainers', () => {
  it('spends one budget with them, each in a folder of its own', async () => {
    const edit = (text: string) => text.replace('name: two,', 'name: two, replicas: 2,');
    const summary = await runLocally(standInRun(folder, 60, { edit }), stop.signal);
    const [one, two] = trained(summary) as [number, number];
    expect(one).toBe(960);
    expect(two).toBeGreaterThanOrEqual(960);
    const place = join(out, 'modules/two/replica-1');
    expect(readdirSync(place).some((name) => name.endsWith('.safetensors'))).toBe(true);
    expect(starts('two')).toHaveLength(1);
    const { reports } = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
    const counts = reports
      .filter(({ module }: { module: string }) => module === 'two')
      .map(({ samplesTrained }: { samplesTrained: number }) => samplesTrained);
    expect(counts).toHaveLength(2);
    expect(counts[0] + counts[1]).toBe(two);
  });

  it('gets and loses trainers while it trains, down to none, and counts what all have done', async () => {
    let replicas = 1;
    const wanted = (module: string) => (module === 'two' ? replicas : 1);
    const run = runLocally(standInRun(folder, 300, { replicas: wanted }), stop.signal);
    const second = () => starts('two/replica-1').map(({ pid }) => pid);
    await bothHaveCheckpoints();
    replicas = 2;
    await until(() => newestCheckpoint('two/replica-1') > 0, 'a checkpoint of the second trainer');
    replicas = 0;
    const pids = [...starts('two'), ...starts('two/replica-1')].map(({ pid }) => pid);
    await until(() => !pids.some(isAlive), 'both trainers of module two to end');
    const before = newestCheckpoint('two') + newestCheckpoint('two/replica-1');
    replicas = 2;
    await until(() => second().length === 2, 'the second trainer to be back');
    const summary = await run;
    expect(trained(summary)[0]).toBe(4800);
    expect(trained(summary)[1]).toBeGreaterThanOrEqual(4800);
    expect(starts('two')[1]?.step).toBeGreaterThan(0);
    expect(newestCheckpoint('two') + newestCheckpoint('two/replica-1')).toBeGreaterThan(before);
    expect(newestCheckpoint('two')).toBeLessThan(300);
  });
});
