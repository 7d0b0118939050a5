import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager, StorageType, type StreamConfig } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { planBucket } from '../plan/stream.ts';
import { deleteStreams, ensureStreams } from './streams.ts';
import { streamPlan as plan } from './testing/stream-plan.ts';

let nats: TestNats;
let connection: NatsConnection;
beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
});
afterAll(async () => {
  await connection.close();
  await nats.stop();
});

const streamInfo = async (name: string) => (await jetstreamManager(connection)).streams.info(name);
const consumerInfo = async (name: string) =>
  (await jetstreamManager(connection)).consumers.info(name, 'next');

describe('ensureStreams', () => {
  it('creates a bounded ring in memory and a durable consumer with explicit acks', async () => {
    expect(await ensureStreams(connection, [plan('ring')])).toBe(2);
    expect((await streamInfo('ring')).config).toMatchObject({
      subjects: ['gim.local.test.edge.ring'],
      storage: 'memory',
      num_replicas: 1,
      retention: 'limits',
      discard: 'old',
      max_bytes: 10_000,
      max_msgs: 4,
      max_msg_size: 1000,
      duplicate_window: 30e9,
      allow_direct: true,
    });
    expect((await consumerInfo('ring')).config).toMatchObject({
      durable_name: 'next',
      ack_policy: 'explicit',
      deliver_policy: 'all',
      ack_wait: 30e9,
      max_ack_pending: 16,
    });
  });

  it('keeps the newest messages of a ring', async () => {
    await ensureStreams(connection, [plan('newest')]);
    for (let i = 0; i < 10; i++) {
      await jetstream(connection).publish('gim.local.test.edge.newest', `${i}`);
    }
    const { state } = await streamInfo('newest');
    expect([state.first_seq, state.last_seq]).toEqual([7, 10]);
  });

  it('refuses messages when a blocking stream is full, and takes them again after an ack', async () => {
    await ensureStreams(connection, [plan('queue', { whenFull: 'block' })]);
    const js = jetstream(connection);
    for (let i = 0; i < 4; i++) await js.publish('gim.local.test.edge.queue', `${i}`);
    await expect(js.publish('gim.local.test.edge.queue', 'one too many')).rejects.toThrow(
      'maximum messages exceeded',
    );
    const message = await (await js.consumers.get('queue', 'next')).next();
    await message?.ackAck();
    await js.publish('gim.local.test.edge.queue', 'fits');
  });

  it('leaves all streams as they were when there is no room for one of them', async () => {
    const config = join(mkdtempSync(join(tmpdir(), 'gim-')), 'server.conf');
    writeFileSync(config, 'jetstream { max_memory_store: 10000 }');
    const small = await startNats('127.0.0.1', { config });
    const there = await connect({ servers: small.url });
    const sizes = async () => {
      const found: Record<string, number> = {};
      for await (const { config } of (await jetstreamManager(there)).streams.list()) {
        found[config.name] = config.max_bytes;
      }
      return found;
    };
    const sized = (a: number, b: number) => [
      plan('a', { maxBytes: a }),
      plan('b', { maxBytes: b }),
    ];
    try {
      await expect(ensureStreams(there, sized(6000, 6000))).rejects.toThrow('insufficient');
      expect(await sizes()).toEqual({});
      await ensureStreams(there, sized(4000, 4000));
      await expect(ensureStreams(there, sized(5000, 6000))).rejects.toThrow('insufficient');
      expect(await sizes()).toEqual({ a: 4000, b: 4000 });
    } finally {
      await there.close();
      await small.stop();
    }
  });

  it('writes nothing when nothing changed', async () => {
    const streams = [plan('same'), plan('same-queue', { whenFull: 'block' })];
    expect(await ensureStreams(connection, streams)).toBe(4);
    expect(await ensureStreams(connection, streams)).toBe(0);
  });

  it('updates what changed and keeps the messages', async () => {
    await ensureStreams(connection, [plan('grows')]);
    await jetstream(connection).publish('gim.local.test.edge.grows', 'kept');
    const consumer = { name: 'next', ackWaitSeconds: 60, maxAckPending: 32 };
    expect(await ensureStreams(connection, [plan('grows', { maxMessages: 8, consumer })])).toBe(2);
    const { config, state } = await streamInfo('grows');
    expect(config.max_msgs).toBe(8);
    expect(state.messages).toBe(1);
    expect((await consumerInfo('grows')).config.max_ack_pending).toBe(32);
  });

  it('makes a ring into a queue, which no update can', async () => {
    await ensureStreams(connection, [plan('turns')]);
    await ensureStreams(connection, [plan('turns', { whenFull: 'block' })]);
    expect((await streamInfo('turns')).config.retention).toBe('workqueue');
    expect((await consumerInfo('turns')).config.durable_name).toBe('next');
  });
});

describe('the bucket of a run', () => {
  const run = { namespace: 'team', name: 'run', uid: 'a' };
  const stream = 'OBJ_gim_team_run_a';

  it('is made as the object store makes its own, and is left alone from then on', async () => {
    const bucket = planBucket(run, false);
    expect(await ensureStreams(connection, [bucket])).toBe(1);
    expect(await ensureStreams(connection, [bucket])).toBe(0);
    await new Objm(connection).create('other', { storage: StorageType.File });
    const about = async (name: string) => {
      const {
        name: _,
        subjects,
        created,
        metadata,
        ...rest
      } = (await streamInfo(name)).config as StreamConfig & { created?: string };
      return rest;
    };
    expect(await about(stream)).toEqual(await about('OBJ_other'));
  });

  it('is never made anew', async () => {
    await jetstreamManager(connection).then((jsm) =>
      jsm.streams.add({
        name: 'OBJ_gim_team_run_b',
        subjects: ['$O.gim_team_run_b.C.>', '$O.gim_team_run_b.M.>'],
        storage: StorageType.Memory,
      }),
    );
    await jetstream(connection).publish('$O.gim_team_run_b.C.x', 'kept');
    const bucket = planBucket({ ...run, uid: 'b' }, false);
    await expect(ensureStreams(connection, [bucket])).rejects.toThrow(/storage/);
    expect((await streamInfo('OBJ_gim_team_run_b')).state.messages).toBe(1);
  });
});

describe('deleteStreams', () => {
  it('deletes streams, whether they are there or not', async () => {
    await ensureStreams(connection, [plan('going')]);
    await deleteStreams(connection, [{ name: 'gone' }, { name: 'going' }]);
    await expect(streamInfo('going')).rejects.toThrow('stream not found');
  });
});
