import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { DataPosition } from './data-position.ts';
import { LastMessages } from './last-messages.ts';

let nats: TestNats;
let connection: NatsConnection;
let counter = 0;
let stop: AbortController;

const STATE = { name: 'STATE', subjects: 'state.>', maxBytes: 1_000_000, maxMessageBytes: 1000 };
const BATCH = 4;

beforeAll(async () => {
  nats = await startNats();
  connection = await connect({
    servers: nats.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
  await ensureStreams(connection, [STATE]);
});
afterAll(async () => {
  await connection.close();
  await nats.stop();
});
beforeEach(() => {
  counter += 1;
  stop = new AbortController();
});
afterEach(() => stop.abort());

const open = (replica: number, start = 0): Promise<DataPosition> =>
  DataPosition.open({
    messages: new LastMessages(connection, STATE.name),
    subject: `state.position.${counter}`,
    replica,
    batchSize: BATCH,
    start,
    stop: stop.signal,
  });

async function draws(position: DataPosition, count: number): Promise<number[]> {
  const drawn: number[] = [];
  while (drawn.length < count) drawn.push(await position.draw());
  return drawn;
}

const inOrder = (...drawn: number[][]): number[] => drawn.flat().toSorted((a, b) => a - b);
const batches = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (from + i) * BATCH);

describe('the data position', () => {
  it('of a single trainer continues from its checkpoint without a server', async () => {
    const gone = { read: () => Promise.reject(new Error('gone')), replace: () => Promise.reject() };
    const alone = await DataPosition.open({
      messages: gone,
      subject: 'state.position.none',
      replica: 0,
      batchSize: BATCH,
      start: 40,
      stop: stop.signal,
    });
    expect(await draws(alone, 3)).toEqual([40, 44, 48]);
  });

  it('of several trainers is drawn once each, without gaps', async () => {
    const trainers = await Promise.all([open(0), open(1), open(2)]);
    for (const each of trainers) each.share(3);
    const drawn = await Promise.all(trainers.map((each) => draws(each, 50)));
    expect(inOrder(...drawn)).toEqual(batches(0, 150));
  });

  it('is drawn once each while trainers start, stop and learn of it at different times', async () => {
    const first = await open(0);
    const alone = await draws(first, 5);
    const second = await open(1);
    second.share(2);
    const early = draws(second, 10); // the first does not know of it yet
    const unaware = await draws(first, 5);
    first.share(2);
    const together = await Promise.all([draws(first, 10), early]);
    first.share(1);
    const [again, late] = [await draws(first, 5), draws(second, 1)];
    const more = await draws(first, 5);
    const all = inOrder(alone, unaware, ...together, again, more);
    expect(all).toEqual(batches(0, 40));
    stop.abort();
    await expect(late).rejects.toThrow();
  });

  it('of a restarted replica 0 continues from its peers', async () => {
    const [first, second] = [await open(0), await open(1)];
    for (const each of [first, second]) each.share(2);
    const before = [await draws(first, 3), await draws(second, 3)];
    const again = await open(0, BATCH); // from an old checkpoint
    expect(inOrder(...before, await draws(again, 2), await draws(second, 2))).toEqual(
      batches(0, 10),
    );
  });

  it('is not drawn again after the server lost it', async () => {
    const [first, second] = [await open(0), await open(1)];
    for (const each of [first, second]) each.share(2);
    const before = [...(await draws(first, 3)), ...(await draws(second, 3))];
    await nats.restart();
    for (let made = false; !made; ) {
      made = await ensureStreams(connection, [STATE]).then(
        () => true,
        () => new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 100)),
      );
    }
    const after = [await draws(first, 2), await draws(second, 2)];
    // Replica 0 knows its own batches and shares the position after them.
    expect(new Set([...before, ...after.flat()]).size).toBeGreaterThanOrEqual(8);
    expect(after[1]?.filter((first) => before.includes(first))).toEqual([]);
  });

  it('ends its wait when the trainer stops', async () => {
    const second = await open(1);
    const waiting = second.draw();
    stop.abort();
    await expect(waiting).rejects.toThrow();
  });
});
