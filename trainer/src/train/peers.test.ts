import { parseRun } from '@greedy-infomax/crds';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { publishControl } from '../../../operator/src/controller/trainer-reports.ts';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { planRun, type RunPlan } from '../../../operator/src/plan/run.ts';
import { TINY } from '../../../test/support/gim.ts';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { compileModule, type ModuleProgram } from '../module/program.ts';
import { ControlChannel } from './control-channel.ts';
import type { Input } from './input.ts';
import { Peers } from './peers.ts';
import { NO_PROGRESS, type Progress } from './resume.ts';

/** Replicas of a module that learn of each other from the operator's control messages. */

let nats: TestNats;
let operator: NatsConnection;
let plan: RunPlan;
const log = pino({ level: 'silent' });
const open: { close(): Promise<unknown>; dispose(): void }[] = [];

beforeAll(async () => {
  nats = await startNats();
  operator = await connect({ servers: nats.url });
});
beforeEach(async () => {
  await Promise.all(open.map((each) => each.close()));
  for (const each of open.splice(0)) each.dispose();
  const run = TINY.replace('checkpoints:', 'averaging:\n    everySteps: 5\n  checkpoints:');
  plan = planRun(parseRun(run, 'run.yaml'), {
    namespace: 'local',
    uid: crypto.randomUUID(),
    replicas: () => 2,
  });
  await ensureStreams(operator, [plan.state]);
});
afterAll(async () => {
  await Promise.all(open.map((each) => each.close()));
  await operator.close();
  await nats.stop();
});

interface Member {
  peers: Peers;
  program: ModuleProgram;
  /** Numbers of trainers that were passed to the data set. */
  shared: number[];
  follow(): Promise<void>;
}

async function join(replica: number, before: Progress | null): Promise<Member> {
  const config = firstModule();
  const program = compileModule(config);
  const channel = await ControlChannel.open({
    natsUrl: nats.url,
    run: runId(),
    module: config.name,
    replica,
  });
  open.push({ close: () => channel.close(), dispose: () => program.dispose() });
  const stop = new AbortController().signal;
  const options = { config, log, replica, stop, out: '', nats: { natsUrl: nats.url } };
  const peers = await Peers.join(options, channel, program, before);
  const shared: number[] = [];
  const input = { share: (trainers: number) => shared.push(trainers) } as unknown as Input;
  return { peers, program, shared, follow: () => peers.follow(input, null) };
}

const firstModule = () => plan.modules[0] as RunPlan['modules'][number];
const runId = () => ({ ...firstModule().run, uid: firstModule().uid });

/** Publishes control messages as the operator does, until `isDone` returns true. */
async function until(replicas: number, samples: Record<string, number>, isDone: () => unknown) {
  await expect
    .poll(async () => {
      publishControl(operator, runId(), [], { one: { replicas, samples } });
      await operator.flush();
      return isDone();
    })
    .toBeTruthy();
}

it('passes the number of trainers to the data set once it is known, even if it is 1', async () => {
  const { shared, follow } = await join(0, NO_PROGRESS);
  await follow();
  expect(shared).toEqual([]);
  await until(1, {}, async () => {
    await follow();
    return shared.length > 0;
  });
  expect(shared).toEqual([1]);
  await until(2, {}, async () => {
    await follow();
    return shared.length > 1;
  });
  expect(shared).toEqual([1, 2]);
});

it('spends one budget, including samples of trainers that no longer exist', async () => {
  const { peers, follow } = await join(0, { ...NO_PROGRESS, samples: 3000, others: { 1: 1000 } });
  peers.budget.own += 16;
  expect([peers.budget.own, peers.budget.others]).toEqual([3016, { 1: 1000 }]);
  expect(peers.budget.spent).toBe(false);
  await until(1, { 0: 2000, 1: 4984 }, async () => {
    await follow();
    return peers.budget.spent;
  });
  expect(peers.budget.own).toBe(3016); // its own count takes precedence
});

it('starts a new trainer from the weights of a peer, then averages both', async () => {
  const first = await join(0, NO_PROGRESS);
  fill(first.program, 4);
  first.program.step = 70;
  await until(2, {}, async () => {
    await first.follow();
    return first.shared.includes(2);
  });
  await first.peers.averaging.average(); // publishes
  const second = await join(1, null);
  expect(valueIn(second.program)).toBe(4);
  expect([second.program.step, second.program.momentsFrom]).toEqual([70, 70]);

  await until(2, {}, async () => {
    await second.follow();
    return second.shared.includes(2);
  });
  fill(second.program, 8);
  second.program.step += 4;
  await second.peers.averaging.average();
  expect(valueIn(second.program)).toBe(8); // too early
  second.program.step += 1;
  await second.peers.averaging.average(); // publishes
  first.program.step += 1;
  await first.peers.averaging.average();
  expect(valueIn(first.program)).toBe(6); // mean of its own 4 and the peer's 8, at once
  await first.peers.averaging.average();
  first.program.step += 4;
  await first.peers.averaging.average(); // publishes
  expect(valueIn(first.program)).toBe(6); // nothing new, and no trainer waits
  second.program.step += 1;
  await second.peers.averaging.average();
  expect(valueIn(second.program)).toBe(7);
});

/** Sets all weights to one value. */
function fill(program: ModuleProgram, value: number): void {
  const weights = Object.entries(program.read()).filter(([name]) => !name.startsWith('adam.'));
  program.assign(
    Object.fromEntries(
      weights.map(([name, { values }]) => [name, new Float32Array(values.length).fill(value)]),
    ),
  );
}

/** Returns the value of all weights. */
function valueIn(program: ModuleProgram): number {
  const weights = Object.entries(program.read()).filter(([name]) => !name.startsWith('adam.'));
  const distinct = new Set(weights.flatMap(([, { values }]) => [...values]));
  expect(distinct.size).toBe(1);
  return [...distinct][0] as number;
}
