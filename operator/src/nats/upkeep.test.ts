import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { ensureStreams } from './streams.ts';
import { streamPlan } from './testing/stream-plan.ts';
import { startUpkeep, type Upkeep } from './upkeep.ts';

const STREAM = streamPlan('kept', { subject: 'kept' });

let nats: TestNats;
let connection: NatsConnection;
let upkeep: Upkeep;
let lines: string[];
beforeEach(async () => {
  nats = await startNats();
  connection = await connect({
    servers: nats.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
  });
  await ensureStreams(connection, [STREAM]);
  lines = [];
  const log = pino({ level: 'warn' }, { write: (line) => lines.push(line) });
  upkeep = startUpkeep(connection, [STREAM], log, 50);
});
afterEach(async () => {
  await upkeep.stop();
  await connection.close();
  await nats.stop();
});

const manager = () => jetstreamManager(connection, { checkAPI: false, timeout: 500 });

const isThere = async (): Promise<boolean> => {
  try {
    await (await manager()).consumers.info('kept', 'next');
    return true;
  } catch {
    return false;
  }
};

it('makes a deleted stream again, its consumer with it', async () => {
  await (await manager()).streams.delete('kept');
  await expect.poll(isThere).toBe(true);
});

it('makes a deleted consumer again', async () => {
  await (await manager()).consumers.delete('kept', 'next');
  await expect.poll(isThere).toBe(true);
});

it('makes streams again after the server restarted', async () => {
  await nats.restart();
  await expect.poll(isThere).toBe(true);
});

it('leaves streams alone that are as planned', async () => {
  const { created } = await (await manager()).streams.info('kept');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await (await manager()).streams.info('kept')).created).toBe(created);
  expect(lines).toEqual([]);
});
