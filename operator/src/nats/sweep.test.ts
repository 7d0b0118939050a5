import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { planBucket } from '../plan/stream.ts';
import { ensureStreams } from './streams.ts';
import { ownerMetadata, type StreamOwner, sweepStreams } from './sweep.ts';
import { streamPlan } from './testing/stream-plan.ts';

let nats: TestNats;
let connection: NatsConnection;
beforeEach(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
});
afterEach(async () => {
  await connection.close();
  await nats.stop();
});

const make = (name: string, metadata?: Record<string, string>) =>
  ensureStreams(connection, [streamPlan(name, { subject: `of.${name}` })], metadata);

const names = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const name of (await jetstreamManager(connection)).streams.names()) found.push(name);
  return found.toSorted();
};

const of = (run: string, operator = 'us') => ownerMetadata(operator, { namespace: 'team', run });

it('takes the streams of a run that is gone, all of them, and leaves those of others', async () => {
  await make('gone-1', of('gone'));
  await make('gone-2', of('gone'));
  await make('alive', of('alive'));
  const asked: StreamOwner[] = [];
  const swept = await sweepStreams(connection, 'us', async (owner) => {
    asked.push(owner);
    return owner.run === 'alive';
  });
  expect(swept).toEqual([{ namespace: 'team', run: 'gone' }]);
  expect(asked).toHaveLength(2);
  expect(await names()).toEqual(['alive']);
});

it('never touches the streams of another operator, or what is no stream of ours', async () => {
  await make('theirs', of('gone', 'them'));
  await make('unmarked');
  const swept = await sweepStreams(connection, 'us', async () => false);
  expect(swept).toEqual([]);
  expect(await names()).toEqual(['theirs', 'unmarked']);
});

it('knows a stream again that was made before it was marked', async () => {
  await make('older');
  expect(await make('older', of('gone'))).toBe(1);
  expect(await make('older', of('gone'))).toBe(0);
  await sweepStreams(connection, 'us', async () => false);
  expect(await names()).toEqual([]);
});

it('fails when the run cannot be asked about, and takes nothing then', async () => {
  await make('unknown', of('unknown'));
  const refuse = async () => {
    throw new Error('the API server is away');
  };
  await expect(sweepStreams(connection, 'us', refuse)).rejects.toThrow('is away');
  expect(await names()).toEqual(['unknown']);
});

it('takes checkpoints when their very run is gone, unless they outlive it', async () => {
  const bucket = (uid: string, retain: boolean) =>
    planBucket({ namespace: 'team', name: 'one', uid }, retain);
  const metadata = of('one');
  await ensureStreams(connection, [bucket('old', false), bucket('new', false)], metadata);
  await ensureStreams(connection, [bucket('kept', true)], metadata);
  await sweepStreams(connection, 'us', async ({ checkpointsOf }) => checkpointsOf === 'new');
  expect(await names()).toEqual(['OBJ_gim_team_one_kept', 'OBJ_gim_team_one_new']);
});
