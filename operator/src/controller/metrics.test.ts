import { expect, it } from 'vitest';
import { TerminalError, WorkQueue } from '../kube/work-queue.ts';
import { Metrics } from './metrics.ts';

/** Returns the samples of `name`, by their labels. */
async function samples(metrics: Metrics, name: string): Promise<Record<string, number>> {
  const server = await metrics.open(0);
  const text = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
  await server.close();
  const lines = text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'));
  return Object.fromEntries([...lines].map(([, labels = '', value]) => [labels, Number(value)]));
}

it('counts what a queue does, under the names of controller-runtime', async () => {
  const metrics = new Metrics();
  const queue = new WorkQueue({
    observer: metrics.observeQueue('run', 1),
    async handle(key) {
      if (key === 'bad') throw new TerminalError('no');
      if (key === 'flaky' && queue.failures(key) === 0) throw new Error('not yet');
      return key === 'later' ? { afterSeconds: 1000 } : undefined;
    },
  });
  for (const key of ['good', 'bad', 'flaky', 'later']) queue.add(key);
  expect(await samples(metrics, 'greedyinfomax_workqueue_depth')).toEqual({ 'name="run"': 4 });
  queue.start();
  await expect
    .poll(() => samples(metrics, 'greedyinfomax_reconcile_total'))
    .toEqual({
      'controller="run",result="success"': 2,
      'controller="run",result="error"': 2,
      'controller="run",result="requeue_after"': 1,
    });
  await queue.stop();
  const run = 'controller="run"';
  expect(await samples(metrics, 'greedyinfomax_terminal_reconcile_errors_total')).toEqual({
    [run]: 1,
  });
  expect(await samples(metrics, 'greedyinfomax_active_workers')).toEqual({ [run]: 0 });
  expect(await samples(metrics, 'greedyinfomax_workqueue_retries_total')).toEqual({
    'name="run"': 1,
  });
  expect(await samples(metrics, 'greedyinfomax_workqueue_adds_total')).toEqual({ 'name="run"': 5 });
  expect(await samples(metrics, 'greedyinfomax_workqueue_depth')).toEqual({ 'name="run"': 0 });
  expect(await samples(metrics, 'greedyinfomax_reconcile_time_seconds_count')).toEqual({
    [run]: 5,
  });
});

it('lets several controllers share the metrics', async () => {
  const metrics = new Metrics();
  metrics.observeQueue('run', 4);
  metrics.observeQueue('module', 2);
  expect(await samples(metrics, 'greedyinfomax_max_concurrent_reconciles')).toEqual({
    'controller="run"': 4,
    'controller="module"': 2,
  });
});

it('counts requests by how they ended', async () => {
  const metrics = new Metrics();
  const observe = metrics.observeRequests('api:6443');
  observe({ method: 'GET', path: '/x', code: 200 });
  observe({ method: 'GET', path: '/y', code: 200 });
  observe({ method: 'PUT', path: '/x', code: 0 });
  expect(await samples(metrics, 'greedyinfomax_rest_client_requests_total')).toEqual({
    'method="GET",host="api:6443",code="200"': 2,
    'method="PUT",host="api:6443",code="<error>"': 1,
  });
});

it('shows the lead, NATS and the runs', async () => {
  const metrics = new Metrics();
  metrics.setLeader('operator', true);
  metrics.setNatsConnected(false);
  metrics.setRuns({ Running: 2, Failed: 1 });
  metrics.setRuns({ Running: 1 });
  expect(await samples(metrics, 'greedyinfomax_leader_election_master_status')).toEqual({
    'name="operator"': 1,
  });
  expect(await samples(metrics, 'greedyinfomax_nats_connected')).toEqual({ '': 0 });
  expect(await samples(metrics, 'greedyinfomax_runs')).toEqual({ 'phase="Running"': 1 });
});

it('shows how modules train, what is known of it, until the run is gone', async () => {
  const metrics = new Metrics({ runs: true });
  metrics.setTraining('default', 'a', 'first', { loss: 1.5, samples: 64 });
  metrics.setTraining('default', 'a', 'second', { loss: null });
  metrics.setTraining('default', 'ab', 'first', { loss: 2 });
  const labels = (run: string) => `namespace="default",run="${run}",module="first"`;
  expect(await samples(metrics, 'greedyinfomax_module_loss')).toEqual({
    [labels('a')]: 1.5,
    [labels('ab')]: 2,
  });
  metrics.setTraining('default', 'a', 'first', { samples: 128 });
  expect(await samples(metrics, 'greedyinfomax_module_samples_total')).toEqual({
    [labels('a')]: 128,
  });
  metrics.forgetRun('default', 'a');
  expect(await samples(metrics, 'greedyinfomax_module_samples_total')).toEqual({});
  expect(await samples(metrics, 'greedyinfomax_module_loss')).toEqual({ [labels('ab')]: 2 });
});

it('bounds the number of series', async () => {
  const metrics = new Metrics({ runs: true });
  for (let i = 0; i < 600; i++) metrics.setTraining('default', `run-${i}`, 'first', { loss: i });
  const shown = await samples(metrics, 'greedyinfomax_module_loss');
  expect(Object.keys(shown)).toHaveLength(500);
  metrics.forgetRun('default', 'run-0');
  metrics.setTraining('default', 'run-599', 'first', { loss: 1 });
  expect(Object.values(await samples(metrics, 'greedyinfomax_module_loss'))).toContain(1);
});

it('prefixes every series and ends the names of counters alone in _total', async () => {
  const metrics = new Metrics();
  metrics.observeQueue('run', 1);
  for (const { name, type } of await metrics.registry.getMetricsAsJSON()) {
    expect(name).toMatch(/^greedyinfomax_/);
    expect(name.endsWith('_total'), name).toBe(String(type) === 'counter');
  }
});

it('lets a count go back when a trainer restarts from a checkpoint', async () => {
  const metrics = new Metrics({ runs: true });
  metrics.setTraining('default', 'a', 'first', { samples: 640 });
  metrics.setTraining('default', 'a', 'first', { samples: 320 });
  expect(Object.values(await samples(metrics, 'greedyinfomax_module_samples_total'))).toEqual([
    320,
  ]);
});

it('tells nothing of single runs unless asked to', async () => {
  const metrics = new Metrics();
  metrics.setTraining('default', 'secret-project', 'first', { loss: 1.5 });
  expect(await metrics.registry.metrics()).not.toContain('secret-project');
});
