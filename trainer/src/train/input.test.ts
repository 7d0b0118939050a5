import type { ModuleConfig } from '@greedy-infomax/crds';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { rows, TestEdges, within } from '../buffer/testing/edges.ts';
import { type Input, openInput } from './input.ts';

let edges: TestEdges;
let input: Input | undefined;
beforeAll(async () => {
  edges = await TestEdges.start();
});
afterEach(async () => {
  await input?.close();
  input = undefined;
  await edges.closeEnds();
});
afterAll(() => edges.stop());

/** Sends a sample of step 5 that was made at `madeAt`, then one of step 12; returns both as a batch. */
async function receive(madeAt: number) {
  const edge = await edges.make();
  const config = { batchSize: 2, source: { kind: 'edge', edge } } as ModuleConfig;
  input = await openInput(config, {
    nats: { natsUrl: edges.nats.url },
    connection: edges.connection,
    clientName: 'test',
    replica: 0,
    stop: within(60_000),
    position: 0,
  });
  const sink = await edges.sink(edge, 1);
  await sink.put({ ...rows(edge, [1], 5), madeAt }, within(60_000));
  await sink.put({ ...rows(edge, [2], 12), madeAt: Date.now() }, within(60_000));
  const batch = await input.next(within(60_000));
  const at = (id: number) => batch.ids.indexOf(id);
  return { batch, at };
}

it('measures the age of a sample in seconds, and in steps of its producer', async () => {
  const madeAt = Date.now() - 90_000;
  const { batch, at } = await receive(madeAt);
  const most = (Date.now() - madeAt) / 1000;
  expect(batch.stalenessSeconds[at(1)]).toBeGreaterThanOrEqual(90);
  expect(batch.stalenessSeconds[at(1)]).toBeLessThanOrEqual(most);
  expect(batch.stalenessSeconds[at(2)]).toBeLessThanOrEqual(most - 90);
  expect([batch.stalenessSteps[at(1)], batch.stalenessSteps[at(2)]]).toEqual([7, 0]);
});

it('treats a sample as new if its producer’s clock is ahead', async () => {
  const { batch, at } = await receive(Date.now() + 3_600_000);
  expect(batch.stalenessSeconds[at(1)]).toBe(0);
});
