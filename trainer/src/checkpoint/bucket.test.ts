import { checkpointBucket, checkpointStream } from '@greedy-infomax/crds';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { planBucket } from '../../../operator/src/plan/stream.ts';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { CheckpointBucket } from './bucket.ts';
import { BucketError, CheckpointError } from './errors.ts';
import { CheckpointStore } from './store.ts';

let nats: TestNats;
let connection: NatsConnection;
let run = { namespace: 'team', name: 'run', uid: '0' };
let runs = 0;
beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
});
afterAll(async () => {
  await connection.close();
  await nats.stop();
});
beforeEach(async () => {
  runs += 1;
  run = { ...run, uid: `${runs}` };
  await ensureStreams(connection, [planBucket(run, false)]);
});

/** A checkpoint of three parts. */
const ELEMENTS = 300_000;
const checkpoint = (step: number) => ({
  step,
  samples: step * 32,
  tensors: {
    weight: {
      dtype: 'F32' as const,
      shape: [ELEMENTS],
      data: new Float32Array(ELEMENTS).fill(step),
    },
  },
  state: { progress: `at ${step}` },
});
const bucket = () => CheckpointBucket.open(connection, run);
const open = async ({ module = 'one', replica = 0, keep = 3 } = {}) =>
  new CheckpointStore((await bucket()).files(module, replica), { keep, configHash: 'abc' });
const newestStep = async () => (await (await open()).loadNewest()).checkpoint?.step ?? null;
const fileOf = (step: number) =>
  `one/replica-0/checkpoint-${`${step}`.padStart(9, '0')}.safetensors`;
const objects = async () => {
  const store = await new Objm(connection).open(checkpointBucket(run));
  return (await store.list()).map(({ name }) => name).toSorted();
};
const infoOf = async (step: number) => {
  const info = await (await new Objm(connection).open(checkpointBucket(run))).info(fileOf(step));
  if (info === null) throw new Error(`no ${fileOf(step)}`);
  return info;
};
const streamInfo = async () =>
  (await jetstreamManager(connection)).streams.info(checkpointStream(run), {
    subjects_filter: '>',
  });
const partsOf = (nuid: string) => `$O.${checkpointBucket(run)}.C.${nuid}`;

describe('checkpoints in a bucket', () => {
  it('has none before the first', async () => {
    expect(await (await open()).loadNewest()).toEqual({ checkpoint: null, skipped: [] });
  });

  it('returns what was saved, to another trainer as well', async () => {
    await (await open()).save(checkpoint(7));
    expect(await (await open()).loadNewest()).toEqual({ checkpoint: checkpoint(7), skipped: [] });
    expect((await infoOf(7)).chunks).toBe(3);
  });

  it('are objects that every client of the object store can read', async () => {
    await (await open()).save(checkpoint(7));
    const store = await new Objm(connection).open(checkpointBucket(run));
    const bytes = await store.getBlob(fileOf(7));
    const read = await (await bucket()).files('one', 0).read(fileOf(7).split('/')[2] ?? '');
    expect(read?.length).toBeGreaterThan(4 * ELEMENTS);
    expect(Buffer.compare(bytes ?? new Uint8Array(), read ?? new Uint8Array())).toBe(0);
  });

  it('keeps the newest of each trainer, and nothing of the others', async () => {
    const [first, second] = [await open({ keep: 2 }), await open({ keep: 2, replica: 1 })];
    for (const step of [1, 2, 3]) await first.save(checkpoint(step));
    await second.save(checkpoint(1));
    expect(await objects()).toEqual([
      fileOf(2),
      fileOf(3),
      fileOf(1).replace('replica-0', 'replica-1'),
    ]);
    const { state } = await streamInfo();
    expect(state.messages).toBe(3 * (3 + 1)); // parts and a name
  });

  it('finds every trainer that a module has had', async () => {
    await (await open()).save(checkpoint(1));
    await (await open({ replica: 12 })).save(checkpoint(1));
    await (await open({ module: 'one-b' })).save(checkpoint(1));
    const places = await (await bucket()).filesOf('one');
    expect(places.map(({ where }) => where('x'))).toEqual([
      expect.stringContaining('one/replica-0/x'),
      expect.stringContaining('one/replica-12/x'),
    ]);
  });
});

describe('a damaged checkpoint', () => {
  it.each([
    ['a part', 1],
    ['all its parts', 3],
  ])('that lacks %s is passed over for the one before, and goes with the next', async (_, lost) => {
    const store = await open();
    for (const step of [1, 2]) await store.save(checkpoint(step));
    const jsm = await jetstreamManager(connection);
    const { nuid } = await infoOf(2);
    for (let i = 0; i < lost; i += 1) {
      const query = { seq: 1, next_by_subj: partsOf(nuid) };
      const part = await jsm.direct.getMessage(checkpointStream(run), query);
      await jsm.streams.deleteMessage(checkpointStream(run), part?.seq ?? 0);
    }
    const { checkpoint: found, skipped } = await store.loadNewest();
    expect(found?.step).toBe(1);
    expect(skipped).toEqual([
      { file: expect.stringContaining(fileOf(2)), why: `only ${3 - lost} of its 3 parts exist` },
    ]);
    await store.save(checkpoint(3));
    expect(await objects()).toEqual([fileOf(1), fileOf(3)]);
  });

  it('that another client has deleted is skipped, and its name is removed by the next save', async () => {
    const store = await open();
    for (const step of [1, 2]) await store.save(checkpoint(step));
    await (await new Objm(connection).open(checkpointBucket(run))).delete(fileOf(2));
    const { checkpoint: found, skipped } = await store.loadNewest();
    expect(found?.step).toBe(1);
    expect(skipped).toMatchObject([{ why: 'the object was deleted' }]);
    await store.save(checkpoint(3));
    expect((await streamInfo()).state.messages).toBe(2 * (3 + 1));
  });

  it('with other content is skipped for the one before', async () => {
    await (await open()).save(checkpoint(1));
    const bytes = await (await bucket()).files('one', 0).read(fileOf(1).split('/')[2] ?? '');
    const changed = Uint8Array.from(bytes ?? []);
    changed[changed.length - 1] = 1;
    const store = await new Objm(connection).open(checkpointBucket(run));
    await store.putBlob({ name: fileOf(2) }, changed);
    const { checkpoint: found, skipped } = await (await open()).loadNewest();
    expect(found?.step).toBe(1);
    expect(skipped).toMatchObject([{ why: 'the content does not match its checksum' }]);
  });
});

describe('an upload of a killed trainer', () => {
  const upload = async (age: number) => {
    await jetstream(connection).publish(partsOf('CUT'), new Uint8Array(1000));
    const now = Date.now();
    return () => now + age;
  };
  const isThere = async () => partsOf('CUT') in ((await streamInfo()).state.subjects ?? {});

  it('is not a checkpoint', async () => {
    await (await open()).save(checkpoint(1));
    await upload(0);
    expect(await newestStep()).toBe(1);
  });

  it('is kept while it may be in progress, then removed', async () => {
    const clock = await upload(11 * 60_000);
    await (await open()).save(checkpoint(1));
    expect(await isThere()).toBe(true);
    const late = (await CheckpointBucket.open(connection, run, clock)).files('one', 0);
    await late.removeLeftovers();
    expect(await isThere()).toBe(false);
    expect(await newestStep()).toBe(1);
  });
});

describe('a bucket that', () => {
  it('does not exist is not taken for one without checkpoints', async () => {
    run = { ...run, uid: 'none' };
    const error = await (await open()).loadNewest().catch((e) => e);
    expect(error).toBeInstanceOf(BucketError);
    expect(error.message).toMatch(
      /bucket gim_team_run_none does not exist; the operator creates it/,
    );
  });

  it('is full refuses a checkpoint and keeps the others', async () => {
    await (await open()).save(checkpoint(1));
    const jsm = await jetstreamManager(connection);
    const { state } = await streamInfo();
    await jsm.streams.update(checkpointStream(run), { max_bytes: state.bytes + 600_000 });
    const error = await (await open()).save(checkpoint(2)).catch((e) => e);
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(/maximum bytes exceeded.*check the free space in the file store/);
    expect(await newestStep()).toBe(1);
    expect((await streamInfo()).state.messages).toBe(state.messages);
  });

  it('does not answer loses no checkpoint', async () => {
    const store = await open();
    await store.save(checkpoint(1));
    await nats.kill();
    await expect(store.loadNewest()).rejects.toThrow(BucketError);
    await nats.restart();
    await expect.poll(newestStep).toBe(1);
    await store.save(checkpoint(2));
    expect(await objects()).toEqual([fileOf(1), fileOf(2)]);
  });
});
