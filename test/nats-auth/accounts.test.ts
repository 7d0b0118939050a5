import { checkpointStream } from '@greedy-infomax/crds';
import { JetStreamApiError, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { encodeUser, fmtCreds } from '@nats-io/jwt';
import { createUser } from '@nats-io/nkeys';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunStreams } from '../../operator/src/controller/run-streams.ts';
import type { RunObject } from '../../operator/src/kube/resource.ts';
import { DEFAULT_LIMITS } from '../../operator/src/nats/account-claims.ts';
import type { NamespaceAccounts } from '../../operator/src/nats/namespace-accounts.ts';
import { NatsLimitError } from '../../operator/src/nats/tenants.ts';
import { streamPlan } from '../../operator/src/nats/testing/stream-plan.ts';
import { aRun } from '../../operator/src/plan/kubernetes/testing/builders.ts';
import { CheckpointBucket } from '../../trainer/src/checkpoint/bucket.ts';
import { type ClosedNats, startClosedNats } from './closed-nats.ts';

/**
 * Tests namespace accounts on a real server: storage, users that expire or are revoked, and a
 * server that loses its accounts.
 */

const MIB = 2 ** 20;
const SERVER_MEMORY = 100 * MIB;
const limits = { ...DEFAULT_LIMITS, memoryBytes: 60 * MIB, diskBytes: 0 };
let closed: ClosedNats;
let accounts: NamespaceAccounts;
const open: NatsConnection[] = [];

beforeEach(async () => {
  const config = [`jetstream { max_memory_store: ${SERVER_MEMORY}, max_file_store: 0 }`];
  closed = await startClosedNats({ config });
  accounts = await closed.accounts({ limits });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((connection) => connection.close()));
  await closed.stop();
});

const run = (namespace: string, uid: string, mebibytes: number) => ({
  namespace,
  uid,
  memoryBytes: mebibytes * MIB,
  files: false,
});
const admit = (...args: Parameters<typeof run>) => accounts.admit(run(...args));
async function connection(namespace: string): Promise<NatsConnection> {
  const there = await accounts.open(namespace);
  if (there === null) throw new Error(`no connection to the account of ${namespace}`);
  return there;
}
async function addStream(namespace: string, name: string, mebibytes: number): Promise<void> {
  const jsm = await jetstreamManager(await connection(namespace), { checkAPI: false });
  const config = {
    name,
    subjects: [name],
    storage: StorageType.Memory,
    max_bytes: mebibytes * MIB,
  };
  await jsm.streams.add(config);
}
const memoryOf = async (namespace: string) => {
  const jsm = await jetstreamManager(await connection(namespace), { checkAPI: false });
  return (await jsm.getAccountInfo()).limits.max_memory / MIB;
};
const user = (uid: string, generation = 0, namespace = 'a') => ({
  namespace,
  uid,
  name: uid,
  permissions: { publish: ['x'], subscribe: ['x'] },
  generation,
});
/**
 * Connects without reconnecting: rejects, or resolves with the reason when the server closes the
 * connection.
 */
async function enter(creds: string): Promise<NatsConnection> {
  const authenticator = credsAuthenticator(new TextEncoder().encode(creds));
  const entered = await connect({ servers: closed.nats.url, authenticator, reconnect: false });
  open.push(entered);
  return entered;
}
const end = async (entered: NatsConnection) => String((await entered.closed()) ?? 'closed');

it('an account gets the storage its runs need, up to the limit of a namespace', async () => {
  await admit('a', 'one', 20);
  await addStream('a', 'S1', 20);
  await expect(addStream('a', 'S2', 1)).rejects.toThrow(JetStreamApiError);
  await admit('a', 'two', 40);
  await addStream('a', 'S2', 40);
  expect(await memoryOf('a')).toBe(60);
  const refused = admit('a', 'three', 1);
  await expect(refused).rejects.toThrow(NatsLimitError);
  await expect(refused).rejects.toThrow(
    'the run needs 1 MiB of NATS memory; namespace a may use 60 MiB (nats.accounts.memory), and its other runs hold 60 MiB',
  );
  await accounts.release(run('a', 'two', 40));
  expect(await memoryOf('a')).toBe(20);
});

it('a namespace at its limit leaves the rest to others, whose runs wait only for the server', async () => {
  await admit('a', 'one', 60);
  await addStream('a', 'S', 60);
  await admit('b', 'one', 30);
  await addStream('b', 'S', 30);
  const undo = await admit('b', 'two', 20); // More than the server has left.
  await expect(addStream('b', 'T', 20)).rejects.toThrow(JetStreamApiError);
  await undo();
  expect(await memoryOf('b')).toBe(30);
  await admit('b', 'three', 5);
  await addStream('b', 'U', 5);
});

const runStreams = () =>
  new RunStreams({
    nats: accounts,
    operator: () => 'us',
    onLeft: () => {},
    log: pino({ level: 'silent' }),
  });
const runIn = (namespace: string, name: string) =>
  aRun({}, { metadata: { name, namespace, uid: name } }) as unknown as RunObject;
const ofMib = (name: string, mebibytes: number) =>
  streamPlan(name, { maxBytes: mebibytes * MIB, subject: name });

it('a run whose streams exceed the memory of its namespace gets the reason NatsLimitReached', async () => {
  const streams = runStreams();
  const big = runIn('a', 'big');
  const cause = await streams.ensure(big, [streamPlan('big', { maxBytes: 61 * MIB })]);
  expect(cause).toMatchObject({
    reason: 'NatsLimitReached',
    message: expect.stringContaining('nats.accounts.memory'),
  });
  expect(streams.limitOf('big')).toEqual(cause);
  await expect
    .poll(() => streams.ensure(big, [streamPlan('big', { maxBytes: MIB })]))
    .toBeUndefined();
  expect(streams.limitOf('big')).toBeUndefined();
});

it('streams are made and buckets read while the limits of their account change', async () => {
  await admit('a', 'one', 40);
  const id = { namespace: 'a', name: 'one', uid: 'one' };
  await addStream('a', checkpointStream(id), 1);
  const bucket = await CheckpointBucket.open(await connection('a'), id);
  const streams = runStreams();
  let isDone = false;
  const change = async () => {
    for (let i = 0; !isDone; i++) await admit('a', 'two', 1 + (i % 2));
  };
  const use = async () => {
    for (let i = 0; i < 200; i++) {
      const planned = Array.from({ length: 4 }, (_, n) => ofMib(`S${n}`, 1 + (i % 2)));
      expect(await streams.ensure(runIn('a', 'run'), planned)).toBeUndefined();
      await bucket.files('first', 0).list();
    }
  };
  await Promise.all([use().finally(() => (isDone = true)), change()]);
});

it('a user of one account reaches no subject of another, and cannot claim to belong to it', async () => {
  await admit('a', 'one', 1);
  await admit('b', 'one', 1);
  const received: string[] = [];
  const inB = await connection('b');
  inB.subscribe('>', { callback: (_, message) => void received.push(message.subject) });
  await inB.flush();
  const inA = await enter(await accounts.mint(user('one')));
  inA.publish('x', 'from a');
  await inA.flush();
  inB.publish('end');
  await inB.flush();
  expect(received.filter((subject) => !subject.startsWith('_INBOX'))).toEqual(['end']);

  const key = createUser();
  const rights = { pub: { allow: ['>'] }, sub: { allow: ['>'] } };
  const [a, b] = [closed.keys.account('a'), closed.keys.account('b')];
  const forged = await encodeUser('forged', key, b.getPublicKey(), rights, { signer: a });
  const creds = new TextDecoder().decode(fmtCreds(forged, key));
  await expect(enter(creds)).rejects.toThrow(/Authorization/);
});

it('credentials stop working when they expire', async () => {
  const brief = await closed.accounts({ limits, lifetimeSeconds: 2 });
  await admit('a', 'one', 1);
  const creds = await brief.mint(user('one'));
  expect(await end(await enter(creds))).toContain('Authentication Expired');
  const again = () =>
    enter(creds).then(
      () => 'in',
      () => 'refused',
    );
  await expect.poll(again).toBe('refused'); // The server's resolution is one second.
});

it('a revoked user is disconnected and stays out; other runs and later generations stay connected', async () => {
  await admit('a', 'one', 1);
  const [mine, next, other] = await Promise.all(
    [user('one'), user('one', 1), user('two')].map((each) => accounts.mint(each)),
  );
  const [leaked, neighbour] = [await enter(mine ?? ''), await enter(other ?? '')];
  await accounts.revoke({ namespace: 'a', uid: 'one' }, 1);
  expect(await end(leaked)).toContain('Revoked');
  await expect(enter(mine ?? '')).rejects.toThrow(/Authorization/);
  await enter(next ?? '');
  await neighbour.flush();
});

it('a restarted operator keeps storage and revocations of its predecessors', async () => {
  await admit('a', 'one', 40);
  await addStream('a', 'S', 40);
  const creds = await accounts.mint(user('gone'));
  await accounts.revoke({ namespace: 'a', uid: 'gone' }, 1);
  await accounts.close();
  accounts = await closed.accounts({ limits });
  await admit('a', 'two', 10);
  expect(await memoryOf('a')).toBe(40); // The requirements of run one are not known yet.
  await expect(enter(creds)).rejects.toThrow(/Authorization/);
  await admit('a', 'one', 40);
  expect(await memoryOf('a')).toBe(50);
});

it('a server that lost its accounts gets them again, and their users reconnect', async () => {
  await admit('a', 'one', 10);
  await addStream('a', 'S', 10);
  const revoked = await accounts.mint(user('gone'));
  await accounts.revoke({ namespace: 'a', uid: 'gone' }, 1);
  const creds = await accounts.mint(user('one'));
  await closed.nats.kill();
  closed.loseAccounts();
  await closed.nats.restart();
  await expect
    .poll(() =>
      enter(creds).then(
        () => 'in',
        () => 'out',
      ),
    )
    .toBe('in');
  await expect(enter(revoked)).rejects.toThrow(/Authorization/);
  await expect
    .poll(() =>
      addStream('a', 'S', 10).then(
        () => 'made',
        (error) => error.message,
      ),
    )
    .toBe('made');
});

it('an account is deleted with the last run, unless it holds a stream', async () => {
  await admit('a', 'one', 10);
  await addStream('a', 'S', 10);
  const creds = await accounts.mint(user('one'));
  const inside = await enter(creds);
  await accounts.settle('a', () => false);
  await inside.flush();
  await (await jetstreamManager(await connection('a'))).streams.delete('S');
  expect(await accounts.namespaces(true)).toEqual(['a']);
  await accounts.settle('a', () => false);
  expect(await end(inside)).toContain('Account Authentication Expired');
  expect(await accounts.namespaces(true)).toEqual([]);
  expect(accounts.connection('a')).toBeNull();
});

it('an account that someone else deleted is made again', async () => {
  await admit('a', 'one', 1);
  await connection('a');
  const other = await closed.accounts({ limits });
  await other.admit(run('a', 'none', 0));
  await other.open('a');
  await other.settle('a', () => false);
  await expect
    .poll(() =>
      addStream('a', 'S', 1).then(
        () => 'made',
        (error) => error.message,
      ),
    )
    .toBe('made');
});

it('accounts of another operator are left unchanged', async () => {
  const other = await closed.accounts({ limits, owner: () => 'them' });
  await other.admit(run('theirs', 'one', 1));
  expect(await accounts.namespaces(true)).toEqual([]);
});

it('100 namespaces get an account and a connection each, also after the server lost all accounts', async () => {
  const names = Array.from({ length: 100 }, (_, i) => `n${i}`);
  const started = performance.now();
  for (const name of names) {
    await accounts.admit({ ...run(name, name, 0), memoryBytes: 1000 });
    await connection(name);
  }
  const seconds = (performance.now() - started) / 1000;
  const { rss } = process.memoryUsage();
  console.log(
    `100 accounts: ${seconds.toFixed(1)} s, ${Math.round(rss / MIB)} MiB of this process`,
  );
  await closed.nats.kill();
  closed.loseAccounts();
  await closed.nats.restart();
  const last = await accounts.mint({ ...user('x', 0, 'n99') });
  const again = performance.now();
  const isIn = () =>
    enter(last).then(
      () => 'in',
      () => 'out',
    );
  await expect.poll(isIn, { timeout: 240_000 }).toBe('in');
  console.log(`all pushed again after ${((performance.now() - again) / 1000).toFixed(1)} s`);
});
