import { afterEach, expect, it } from 'vitest';
import { Client } from './client.ts';
import { EventRecorder } from './event-recorder.ts';
import type { EventObject, RunObject } from './resource.ts';
import { TestApiServer } from './testing/api-server.ts';
import { TestClock } from './testing/clock.ts';

const PATH = '/apis/events.k8s.io/v1/namespaces/default/events';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

const RUN = {
  apiVersion: 'greedyinfomax.dev/v1alpha1',
  kind: 'GreedyInfoMaxRun',
  metadata: { namespace: 'default', name: 'digits', uid: 'u1' },
} as RunObject;

const STARTED = { type: 'Normal', reason: 'Started', action: 'Start', note: 'it runs' } as const;

async function open() {
  const server = await TestApiServer.open();
  cleanUp.push(() => server.close());
  const client = new Client(server.access);
  cleanUp.push(() => client.close());
  const clock = new TestClock();
  const options = { controller: 'greedyinfomax.dev/operator', instance: 'pod-1', clock };
  return {
    server,
    clock,
    recorder: new EventRecorder(client, options),
    restarted: () => new EventRecorder(client, options),
    events: () => server.all(PATH) as unknown as EventObject[],
    writes: () => server.seen.filter(({ method }) => method !== 'GET').length,
  };
}

it('writes an event about an object', async () => {
  const { recorder, events } = await open();
  recorder.record(RUN, STARTED);
  await recorder.flush();
  expect(events()).toMatchObject([
    {
      metadata: { name: expect.stringMatching(/^digits\.[0-9a-f]{16}$/) },
      eventTime: '2030-01-01T00:00:00.000000Z',
      reportingController: 'greedyinfomax.dev/operator',
      reportingInstance: 'pod-1',
      reason: 'Started',
      action: 'Start',
      regarding: { kind: 'GreedyInfoMaxRun', namespace: 'default', name: 'digits', uid: 'u1' },
      type: 'Normal',
      note: 'it runs',
    },
  ]);
  expect(events()[0]).not.toHaveProperty('series');
});

it('makes repeats a series and writes them at most once a minute', async () => {
  const { recorder, clock, events, writes } = await open();
  for (let i = 0; i < 100; i++) recorder.record(RUN, STARTED);
  clock.advance(59_000);
  await recorder.flush();
  expect(events()).toMatchObject([{ series: { count: 100 } }]);
  for (let i = 0; i < 50; i++) {
    recorder.record(RUN, STARTED);
    clock.advance(1000);
  }
  expect(writes()).toBe(2);
  clock.advance(10_000);
  await expect.poll(() => events()[0]?.series?.count).toBe(150);
  expect(writes()).toBe(3);
  expect(events()).toHaveLength(1);
});

it('tells events apart that say different things or are about different objects', async () => {
  const { recorder, events } = await open();
  recorder.record(RUN, STARTED);
  recorder.record(RUN, { ...STARTED, note: 'it runs again' });
  recorder.record({ ...RUN, metadata: { ...RUN.metadata, uid: 'u2' } }, STARTED);
  await recorder.flush();
  expect(events()).toHaveLength(3);
});

it('takes events that differ in times, counts and names of pods for repeats of one', async () => {
  const { recorder, events } = await open();
  recorder.record(RUN, { ...STARTED, note: '0/3 nodes are free for pod a-0-x since 12:00' });
  recorder.record(RUN, { ...STARTED, note: '1/4 nodes are free for pod a-0-y since 12:07' });
  await recorder.flush();
  expect(events()).toMatchObject([{ series: { count: 2 } }]);
});

it('keeps events about two parts apart, though their names differ in digits alone', async () => {
  const { recorder, events } = await open();
  for (const part of ['conv1', 'conv2']) {
    recorder.record(RUN, { ...STARTED, note: `module ${part}: trained`, part });
  }
  await recorder.flush();
  expect(events()).toHaveLength(2);
});

it('goes on with the series of an earlier life', async () => {
  const { recorder, restarted, events } = await open();
  recorder.record(RUN, STARTED);
  recorder.record(RUN, STARTED);
  await recorder.flush();
  const later = restarted();
  later.record(RUN, STARTED);
  await later.flush();
  expect(events()).toMatchObject([{ series: { count: 3 } }]);
});

it('begins anew when the event ran out', async () => {
  const { recorder, server, events } = await open();
  recorder.record(RUN, STARTED);
  await recorder.flush();
  server.remove(PATH, events()[0]?.metadata.name ?? '');
  recorder.record(RUN, STARTED);
  await recorder.flush();
  recorder.record(RUN, STARTED);
  await recorder.flush();
  expect(events()).toHaveLength(1);
});

it('outlives an API server that refuses, and writes the next', async () => {
  const { recorder, server, events } = await open();
  server.fail({ status: 500 });
  recorder.record(RUN, STARTED);
  await recorder.flush();
  recorder.record(RUN, STARTED);
  await recorder.flush();
  expect(events()).toHaveLength(1);
});

it('cuts long notes where a character ends', async () => {
  const { recorder, events } = await open();
  recorder.record(RUN, { ...STARTED, note: 'ä'.repeat(1000) });
  await recorder.flush();
  const note = events()[0]?.note ?? '';
  expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
  expect(note).toMatch(/^ä+…$/);
});
