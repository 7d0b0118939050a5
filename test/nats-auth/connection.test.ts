import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT, parseRun } from '@greedy-infomax/crds';
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, afterEach, expect, it } from 'vitest';
import { connectionOptions } from '../../operator/src/nats/connection.ts';
import { planRun } from '../../operator/src/plan/run.ts';
import { connectNats } from '../../trainer/src/nats/connect.ts';
import { TINY } from '../support/gim.ts';
import { startNats } from '../support/nats.ts';
import { type ClosedNats, startClosedNats } from './closed-nats.ts';

/** Connections of operator and trainers: certificates, and credentials that change. */

const folder = mkdtempSync(join(tmpdir(), 'gim-connection-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open: { stop?(): Promise<unknown>; close?(): Promise<unknown> }[] = [];
const later = <T extends (typeof open)[number]>(opened: T): T => {
  open.unshift(opened);
  return opened;
};
afterEach(async () => {
  for (const each of open.splice(0)) await (each.close?.() ?? each.stop?.());
});

it('a server certificate of a private CA is trusted only with that CA', async () => {
  const closed = later(await startClosedNats({ tls: true }));
  const { nats, ca } = closed;
  const accounts = await closed.accounts();
  await accounts.open('team');
  const permissions = { publish: ['a'], subscribe: ['a'] };
  const user = { namespace: 'team', uid: 'u', name: 'test', permissions, generation: 0 };
  const creds = closed.write('test.creds', await accounts.mint(user));
  const url = `nats://localhost:${nats.port}`;
  const operator = later(await connect(connectionOptions({ url, creds, ca })));
  expect(operator.info?.tls_required).toBe(true);
  const told = operator.subscribe('a')[Symbol.asyncIterator]();
  await operator.flush();
  const bytes = Buffer.alloc(1_000_000, 'x');
  for (const natsUrl of [url, nats.url]) {
    const trainer = later(await connectNats({ natsUrl, natsCreds: creds, natsCa: ca }, 'trainer'));
    trainer.publish('a', bytes);
    expect(bytes.compare((await told.next()).value.data)).toBe(0);
  }
  await expect(connect(connectionOptions({ url, creds }))).rejects.toThrow(/certificate/);
});

it('a client with a CA sends nothing to a server without TLS', async () => {
  const { ca } = later(await startClosedNats({ tls: true }));
  const { url } = later(await startNats());
  await expect(connect(connectionOptions({ url, ca }))).rejects.toThrow(/tls/);
});

it('renewed credentials are used on the next attempt, after any number of refusals', async () => {
  const closed = later(await startClosedNats());
  const { nats, systemCreds: creds } = closed;
  const operator = later(await connect(connectionOptions({ url: nats.url, creds })));
  const trainer = later(await connectNats({ natsUrl: nats.url, natsCreds: creds }, 'trainer'));
  const refused = [operator, trainer].map(async (connection) => {
    let times = 0;
    for await (const status of connection.status()) {
      if (status.type === 'error' && ++times === 3) return;
    }
  });
  await nats.kill();
  const renew = await closed.renewKeys();
  await nats.restart();
  await Promise.all(refused);
  renew();
  const back = [operator, trainer].map(async (connection) => {
    for await (const { type } of connection.status()) if (type === 'reconnect') return;
  });
  await Promise.all(back);
  await Promise.all([operator.flush(), trainer.flush()]);
});

it('a missing or invalid file is named at once', async () => {
  const natsUrl = 'nats://127.0.0.1:1';
  const missing = join(folder, 'missing.creds');
  await expect(connectNats({ natsUrl, natsCreds: missing }, 'x')).rejects.toThrow(
    `cannot read ${missing}, which is needed to connect to NATS (ENOENT)`,
  );
  await expect(connectNats({ natsUrl, natsCa: missing }, 'x')).rejects.toThrow(
    `cannot read ${missing}, which is needed to connect to NATS (ENOENT)`,
  );
  const wrong = join(folder, 'wrong.creds');
  writeFileSync(wrong, 'secret');
  const error = await connectNats({ natsUrl, natsCreds: wrong }, 'x').catch((e) => e);
  expect(error.name).toBe('NatsFileError');
  expect(error.message).toContain(`${wrong} holds no NATS credentials`);
  expect(error.message).not.toContain('secret');
});

it.each([
  ['a file that is missing is final', () => join(folder, 'missing.creds'), EXIT.configuration],
  ['refused credentials may be renewed', (closed: ClosedNats) => closed.strange(), EXIT.retry],
])('how a trainer ends: %s', async (_, creds, code) => {
  const closed = later(await startClosedNats());
  const [module] = planRun(parseRun(TINY, 'run.yaml'), { namespace: 'team', uid: 'u' }).modules;
  const config = join(folder, 'module.json');
  writeFileSync(config, JSON.stringify(module));
  const natsCreds = await creds(closed);
  const args = [`--config=${config}`, `--out=${folder}`, `--nats=${closed.nats.url}`];
  const trainer = resolve(import.meta.dirname, '../../trainer/src/main.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [trainer, ...args], {
    env: { ...process.env, NATS_CREDS: natsCreds },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  expect(stdout, stderr).toContain(natsCreds);
  expect(stdout).not.toMatch(/eyJ|SU[A-Z2-7]{20}/);
  expect(status).toBe(code);
});

it('a trainer refuses a NATS URL with a password, which reaches no log', () => {
  const [module] = planRun(parseRun(TINY, 'run.yaml'), { namespace: 'team', uid: 'u' }).modules;
  const config = join(folder, 'module.json');
  writeFileSync(config, JSON.stringify(module));
  const trainer = resolve(import.meta.dirname, '../../trainer/src/main.ts');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [trainer, `--config=${config}`, `--out=${folder}`],
    {
      env: { ...process.env, NATS_URL: 'nats://me:s3cret@127.0.0.1:99999' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  expect(stdout, stderr).toContain('the NATS URL holds a user or a password');
  expect(stdout + stderr).not.toContain('s3cret');
  expect(status).toBe(EXIT.configuration);
});

it('a trainer whose credentials expire goes on with those renewed in its file, and loses no message', async () => {
  const closed = later(await startClosedNats());
  const accounts = await closed.accounts({ lifetimeSeconds: 3 });
  const run = { namespace: 'team', uid: 'u', memoryBytes: 2 ** 24, files: false };
  await accounts.admit(run);
  const operator = await accounts.open('team');
  if (operator === null) throw new Error('no connection to the account');
  const jsm = await jetstreamManager(operator);
  await jsm.streams.add({ name: 'S', subjects: ['s'], storage: StorageType.Memory });
  const permissions = { publish: ['s'], subscribe: ['_INBOX.>'] };
  const user = { namespace: 'team', uid: 'u', name: 'test', permissions, generation: 0 };
  const renew = async () => closed.write('renewed.creds', await accounts.mint(user));
  const natsCreds = await renew();
  const trainer = later(await connectNats({ natsUrl: closed.nats.url, natsCreds }, 'trainer'));
  let reconnections = 0;
  void (async () => {
    for await (const { type } of trainer.status()) if (type === 'reconnect') reconnections++;
  })();
  const renewing = setInterval(() => void renew(), 1200);
  const js = jetstream(trainer);
  let sent = 0;
  for (; reconnections < 2; sent++) {
    const options = { msgID: String(sent), timeout: 1000 };
    // As trainers do: the same message again until the server has it.
    while (!(await js.publish('s', String(sent), options).catch(() => null))) await pause(100);
    await pause(20);
  }
  clearInterval(renewing);
  expect(reconnections).toBeGreaterThanOrEqual(2);
  expect((await jsm.streams.info('S')).state.messages).toBe(sent);
});
