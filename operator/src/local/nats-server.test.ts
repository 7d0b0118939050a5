import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createUser } from '@nats-io/nkeys';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../../test/support/gim.ts';
import { standInRun } from '../../../test/support/local-run.ts';
import { connectionOptions } from '../nats/connection.ts';
import { findNatsServer } from './nats-binary.ts';
import { credsFile, NATS_FOLDER, startNatsServer } from './nats-server.ts';
import { runLocally } from './run.ts';

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'gim-server-'));
});
afterEach(() => {
  rmSync(out, { recursive: true, force: true });
});

const start = async () =>
  startNatsServer({
    binary: await findNatsServer(undefined),
    folder: join(out, NATS_FOLDER),
    memoryBytes: 2 ** 20,
    log: pino({ level: 'silent' }),
  });

it('lets in the user of its credentials file alone, also after a restart', async () => {
  const server = await start();
  const [stranger, account] = [createUser(), createAccount()];
  const foreign = fmtCreds(await encodeUser('gim', stranger, account), stranger);
  const refused = async () => {
    const options = { servers: server.url, reconnect: false };
    await expect(connect(options)).rejects.toThrow(/Authorization Violation/);
    const authenticator = credsAuthenticator(foreign);
    await expect(connect({ ...options, authenticator })).rejects.toThrow(/Authorization/);
    await expect(connect({ ...options, user: 'gim', pass: '' })).rejects.toThrow(/Authorization/);
  };
  try {
    await refused();
    const connection = await connect(connectionOptions(server));
    expect((await (await jetstreamManager(connection)).getAccountInfo()).streams).toBe(0);
    const before = server.pid as number;
    process.kill(before, 'SIGKILL');
    await expect.poll(() => server.pid, { timeout: 30_000 }).not.toBe(before);
    await expect
      .poll(() =>
        connection.flush().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    await refused();
    await connection.close();
  } finally {
    await server.stop();
  }
});

it('replaces credentials of before, whose mode it does not keep', async () => {
  const first = await start();
  const before = readFileSync(first.creds, 'utf8');
  chmodSync(first.creds, 0o644);
  await first.stop();
  const second = await start();
  expect(readFileSync(second.creds, 'utf8')).not.toBe(before);
  expect(statSync(second.creds).mode & 0o777).toBe(0o600);
  await second.stop();
});

it('keeps the secret of a run out of logs, arguments and files that others can read', async () => {
  const stop = new AbortController();
  const options = standInRun(out, 1000);
  const folder = options.out;
  const run = runLocally(options, stop.signal).catch((error: Error) => error);
  await until(() => trainerLogs(folder).length === 2, 'two trainers');
  const secret = /^SU[A-Z2-7]+$/m.exec(readFileSync(credsFile(folder), 'utf8'))?.[0] as string;
  const commands = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => textOf(`/proc/${pid}/cmdline`));
  expect(commands.filter((line) => line.includes(folder)).length).toBeGreaterThan(2);
  stop.abort();
  expect(String(await run)).toContain('stopped with checkpoints');
  const holders = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    textOf(join(folder, name)).includes(secret),
  );
  expect(holders).toEqual(['nats/run.creds']);
  expect(statSync(credsFile(folder)).mode & 0o777).toBe(0o600);
  expect(commands.filter((line) => line.includes(secret))).toEqual([]);
});

const trainerLogs = (folder: string): string[] =>
  ['one', 'two'].filter((module) =>
    textOf(join(folder, 'modules', module, 'trainer.log')).includes('starting'),
  );

/** Returns the content of a file, or '' for a folder or a deleted file. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
