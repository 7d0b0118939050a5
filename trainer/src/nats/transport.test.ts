import { connect as connectPlainly, headers, type Msg } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { connect, Pieces } from './transport.ts';

const SIZES = [0, 1, 17, 5000, 70_000, 1_000_000];

let nats: TestNats;
beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats.stop());

test('a single small message arrives without another one after it', async () => {
  await using listener = await listen('c');
  const connection = await connect({ servers: nats.url });
  connection.publish('c', 'small');
  expect((await listener.next()).string()).toBe('small');
  await connection.close();
});

test('messages published right after connecting arrive whole and in order', async () => {
  await using listener = await listen('a.>');
  const connection = await connect({ servers: nats.url });
  const published = Array.from({ length: 60 }, (_, i) => payload(i));
  for (const [i, bytes] of published.entries()) {
    const marked = headers();
    marked.set('Number', String(i));
    connection.publish(`a.${i}`, bytes, i % 2 === 0 ? {} : { headers: marked });
  }
  for (const [i, bytes] of published.entries()) {
    const message = await listener.next();
    expect(message.subject).toBe(`a.${i}`);
    expect(Buffer.compare(message.data, bytes)).toBe(0);
    expect(message.headers?.get('Number')).toBe(i % 2 === 0 ? undefined : String(i));
  }
  await connection.close();
});

test('messages published after a reconnect arrive whole and in order', async () => {
  const connection = await connect({
    servers: nats.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 20,
  });
  const statuses = connection.status()[Symbol.asyncIterator]();
  await nats.restart();
  for (let type = ''; type !== 'reconnect'; ) type = (await statuses.next()).value.type;
  await using listener = await listen('b');
  const published = Array.from({ length: 20 }, (_, i) => payload(i));
  for (const bytes of published) connection.publish('b', bytes);
  for (const bytes of published) {
    expect(Buffer.compare((await listener.next()).data, bytes)).toBe(0);
  }
  await connection.close();
});

test('pieces are sent without a copy, each once', () => {
  const sent: Uint8Array[] = [];
  const pieces = new Pieces((piece) => sent.push(piece));
  expect(pieces.drain()).toHaveLength(0);
  const given = ['PUB a 3\r\n', 'abc', '\r\n'].map((text) => Buffer.from(text));
  pieces.fill(...(given as [Buffer, Buffer, Buffer]));
  expect(pieces.size()).toBe(14);
  expect(sent).toHaveLength(0);
  sent.push(pieces.drain());
  for (const [i, piece] of given.entries()) expect(sent[i]).toBe(piece);
  expect([pieces.size(), pieces.length(), pieces.drain().length]).toEqual([0, 0, 0]);
});

/** Receives with the unmodified client. */
async function listen(subject: string) {
  const connection = await connectPlainly({ servers: nats.url });
  const messages = connection.subscribe(subject)[Symbol.asyncIterator]();
  await connection.flush();
  return {
    next: async () => (await messages.next()).value as Msg,
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** Returns payload `i`: sizes vary, bytes differ between messages. */
function payload(i: number): Uint8Array {
  return new Uint8Array(SIZES[i % SIZES.length] as number).fill(i + 1);
}
