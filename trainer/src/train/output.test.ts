import type { Edge, ModuleConfig } from '@greedy-infomax/crds';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { TestEdges, within } from '../buffer/testing/edges.ts';
import type { InputBatch } from './input.ts';
import { Output } from './output.ts';

const DEPTH = 8;
let edges: TestEdges;
let output: Output | null = null;
beforeAll(async () => {
  edges = await TestEdges.start();
});
afterEach(async () => {
  await output?.close();
  await edges.closeEnds();
});
afterAll(() => edges.stop());

async function open(): Promise<{ edge: Edge; sender: Output }> {
  const edge = await edges.make({ depth: DEPTH });
  const config = { sink: edge, batchSize: 1 } as ModuleConfig;
  const sender = await Output.open(config, {
    nats: { natsUrl: edges.nats.url },
    clientName: 'test',
  });
  if (!sender) throw new Error('no output');
  output = sender;
  return { edge, sender };
}

const send = (sender: Output, { sampleBytes }: Edge, id: number, step = 0) => {
  const batch = { ids: Float64Array.of(id), labels: Int32Array.of(id) } as InputBatch;
  return sender.send(batch, new Uint8Array(sampleBytes), step, within(60_000));
};

it('samples carry their step and their time in milliseconds since 1970', async () => {
  const { edge, sender } = await open();
  const source = await edges.source(edge, 1);
  const before = Date.now();
  await send(sender, edge, 3, 17);
  const after = Date.now();
  const batch = await source.take(within(60_000));
  expect(batch.madeAt[0]).toBeGreaterThanOrEqual(before);
  expect(batch.madeAt[0]).toBeLessThanOrEqual(after);
  expect([batch.ids[0], batch.labels[0], batch.producerSteps[0]]).toEqual([3, 3, 17]);
});

it('is ahead once at least half of the depth of the edge is pending', async () => {
  const { edge, sender } = await open();
  for (let sent = 1; sent <= DEPTH; sent += 1) {
    await send(sender, edge, sent);
    await expect.poll(async () => (await edges.contents(edge)).messages).toBe(sent);
    await expect.poll(() => sender.isAhead()).toBe(sent >= DEPTH / 2);
  }
});
