import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { JOBS } from '../../operator/src/kube/resource.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { aRun, eventually, openScene, type Scene } from './scene.ts';

/** Several operators run and one of them leads. Prints how long each failover took. */

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
}, CLUSTER_TIMEOUT);
afterAll(async () => {
  await scene?.close();
});

/**
 * A lease lasts 15 s and is checked every 2 s or slightly less often; the rest is slack for a slow
 * machine.
 */
const TAKE_OVER_SECONDS = 120;

const hasJobs = async (name: string) => (await scene.list(JOBS, name)).length === 2;

async function metric(operator: OperatorProcess, start: RegExp): Promise<number> {
  const text = await (await fetch(operator.metricsUrl)).text();
  const values = text.split('\n').filter((line) => start.test(line));
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
const isLeader = async (operator: OperatorProcess) =>
  (await metric(operator, /^greedyinfomax_leader_election_master_status\{/)) === 1;
const patches = (operator: OperatorProcess) =>
  metric(operator, /^greedyinfomax_rest_client_requests_total\{.*method="PATCH"/);
const isReady = async (operator: OperatorProcess) =>
  (await fetch(`${operator.healthUrl}/readyz`)).ok;

async function pair(): Promise<[leader: OperatorProcess, standby: OperatorProcess]> {
  const leader = await scene.operator();
  await eventually('a leader', () => isLeader(leader), { operator: leader });
  const standby = await scene.operator();
  await eventually('a ready standby', () => isReady(standby), { operator: standby });
  return [leader, standby];
}

/** Seconds until the Jobs of a new run exist. */
async function secondsUntilActs(name: string, operator: OperatorProcess): Promise<number> {
  const start = performance.now();
  await scene.create(aRun(name));
  await eventually(`the Jobs of ${name}`, () => hasJobs(name), {
    seconds: TAKE_OVER_SECONDS,
    operator,
  });
  return (performance.now() - start) / 1000;
}

it('the standby fills its caches and writes nothing while the leader acts', async () => {
  const [leader, standby] = await pair();
  await secondsUntilActs('one', leader);
  expect(await patches(leader)).toBeGreaterThan(0);
  expect(await patches(standby)).toBe(0);
  expect(await isLeader(standby)).toBe(false);

  await leader.kill();
  const crash = await secondsUntilActs('two', standby);
  console.log(`after SIGKILL of the leader the standby acted within ${crash.toFixed(1)} s`);
  expect(await isLeader(standby)).toBe(true);

  const third = await scene.operator();
  await eventually('a ready standby', () => isReady(third), { operator: third });
  const holder = await scene.leader();
  expect(await standby.stop()).toBe(0);
  // Released, so that the next leader need not wait for the lease to expire.
  expect(await scene.leader()).not.toBe(holder);
  const clean = await secondsUntilActs('three', third);
  console.log(`after a clean stop of the leader the standby acted within ${clean.toFixed(1)} s`);
  await third.stop();
});

it.each([
  ['away', 3],
  ['away', 7],
  ['silent', 7],
] as const)(
  'renews its lease as soon as the API server answers again, after %s for %d s',
  async (how, seconds) => {
    const operator = await scene.operator();
    await eventually('a leader', () => isLeader(operator), { operator });
    const holder = await scene.leader();
    const fault = how === 'away' ? 'drop' : 'hang';
    scene.proxy.fault = ({ path }) => (path.includes('/leases') ? fault : undefined);
    await wait(seconds * 1000);
    scene.proxy.fault = () => undefined;
    const back = Date.now();
    await eventually('a renewal', async () => (await scene.renewedAt()) >= back, { operator });
    // An attempt every 2 s, ended after 5 s if it hangs; the rest is slack for a slow machine.
    expect((await scene.renewedAt()) - back).toBeLessThan(10_000);
    expect(await scene.leader()).toBe(holder);
    expect(operator.child.exitCode).toBeNull();
    expect(operator.output()).not.toContain('RangeError');
    await operator.stop();
  },
);

it('a leader frozen for longer than its lease exits when it resumes', async () => {
  const [leader, standby] = await pair();
  process.kill(leader.child.pid as number, 'SIGSTOP');
  await secondsUntilActs('frozen', standby);
  expect(await isLeader(standby)).toBe(true);
  const holder = await scene.leader();
  process.kill(leader.child.pid as number, 'SIGCONT');
  expect(await leader.exited).toBe(1);
  expect(await scene.leader()).toBe(holder);
  expect(await isLeader(standby)).toBe(true);
  await standby.stop();
});

it('an operator that cannot fill its caches still stops on request', async () => {
  scene.proxy.fault = ({ path }) => (path.endsWith('/pods') ? { status: 403 } : undefined);
  const operator = await scene.operator();
  await eventually('a leader', () => isLeader(operator), { operator });
  expect(await isReady(operator)).toBe(false);
  expect(await operator.stop()).toBe(0);
  scene.proxy.fault = () => undefined;
});
