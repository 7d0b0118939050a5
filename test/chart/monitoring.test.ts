import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../operator/src/controller/metrics.ts';
import { PromqlError, readPromql } from './promql.ts';
import { find, ofKind, render, type Values } from './render.ts';

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string }[];
}

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; runbook_url: string };
}

/** Names of all time series served by the operator. */
async function served(): Promise<Set<string>> {
  const metrics = new Metrics();
  metrics.observeRequests('host')({ method: 'GET', path: '/', code: 200 });
  metrics.observeQueue('greedyinfomaxrun', 1);
  const all = await metrics.registry.getMetricsAsJSON();
  return new Set(
    all.flatMap(({ name, type }) =>
      String(type) === 'histogram'
        ? ['bucket', 'sum', 'count'].map((end) => `${name}_${end}`)
        : name,
    ),
  );
}

/**
 * Memory of the NATS container, from the kubelet: the only series that the operator does not serve.
 */
const KUBELET = 'container_memory_working_set_bytes';
const NATS_CONTAINER = '{namespace="gim", pod=~"greedy-infomax-nats-.+", container="nats"}';

/** Checks an expression: its syntax, that its series exist, and that it uses `rate` on counters. */
async function check(expr: string, where: string): Promise<void> {
  const names = await served();
  const query = readPromql(expr);
  expect(query.names, where).not.toEqual([]);
  for (const name of query.names) {
    if (name === KUBELET) expect(expr, where).toContain(name + NATS_CONTAINER);
    else expect(names, `${where}: ${name}`).toContain(name);
    const counts = /_(total|bucket)$/.test(name);
    expect(query.rated.includes(name), `${where}: ${name} by rate`).toBe(counts);
  }
}

describe('an expression', () => {
  it('yields its series, and those below rate', () => {
    const query = readPromql('sum by (a) (rate(b_total{c="d"}[5m])) > on (a) max_over_time(e[1h])');
    expect(query).toEqual({ names: ['b_total', 'e'], rated: ['b_total'] });
  });

  it.each(['rate(a[5m]', 'sum by (a (b)', 'a{b=c}', 'a and', ''])('%j is invalid', (text) => {
    expect(() => readPromql(text)).toThrow(PromqlError);
  });
});

describe('the dashboard', () => {
  const dashboard = async () => {
    const map = find(await render('monitoring'), 'ConfigMap', 'greedy-infomax-dashboard');
    return { map, ...JSON.parse(map.data['greedy-infomax.json']) };
  };
  const panelsOf = (all: Panel[]) => all.filter(({ type }) => type !== 'row');

  it('uses only series of this operator and its NATS, and counters with rate', async () => {
    const panels = panelsOf((await dashboard()).panels);
    expect(panels.length).toBeGreaterThanOrEqual(15);
    for (const { title, targets = [] } of panels) {
      expect(targets, title).not.toEqual([]);
      for (const { expr } of targets) await check(expr, title);
    }
  });

  it('fills its variables from series of this operator', async () => {
    const queries = JSON.stringify((await dashboard()).templating).matchAll(/label_values\((\w+)/g);
    const names = [...queries].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(await served()).toContain(name);
  });

  it('shows every panel once, without overlap', async () => {
    const { panels } = await dashboard();
    const ids = panels.map(({ id }: Panel) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }: Panel) => {
      expect(x + w).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
  });

  it('is found by Grafana’s sidecar', async () => {
    const { map } = await dashboard();
    expect(map.metadata.labels?.grafana_dashboard).toBe('1');
    expect(map.metadata.annotations).toEqual({ grafana_folder: 'Training' });
  });
});

describe('alerts', () => {
  const rulesOf = async (...values: Values[]): Promise<Rule[]> => {
    const { spec } = find(await render(...values), 'PrometheusRule', 'greedy-infomax');
    return spec.groups.flatMap(({ rules }: { rules: Rule[] }) => rules);
  };
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/alerts.md'), 'utf8');
  const sections = [...page.matchAll(/^## (GreedyInfoMax\w+)$/gm)].map(([, name]) => name);

  it('use only series of this operator and its NATS, and counters with rate', async () => {
    for (const { alert, expr } of await rulesOf('monitoring')) await check(expr, alert);
  });

  it('each have a severity, a summary and a section of the runbook', async () => {
    const rules = await rulesOf('monitoring');
    expect(rules.map(({ alert }) => alert).toSorted()).toEqual(sections.toSorted());
    for (const { alert, labels, annotations } of rules) {
      expect(['info', 'warning', 'critical'], alert).toContain(labels.severity);
      expect(annotations.summary, alert).toMatch(/^[A-Z{].*\.$/);
      expect(annotations.runbook_url).toBe(
        `https://wiki.example.com/greedy-infomax/alerts#${alert.toLowerCase()}`,
      );
    }
  });

  it('use series of modules only where the operator serves them', async () => {
    const rules = await rulesOf('monitoring', { metrics: { runs: false } });
    expect(rules.length).toBeGreaterThanOrEqual(5);
    for (const { alert, expr } of rules) expect(expr, alert).not.toContain('greedyinfomax_module_');
  });

  it('fire at 80 % of the memory limit of NATS, if there is one', async () => {
    const named = async (...values: Values[]) =>
      (await rulesOf('monitoring', ...values)).find(({ alert }) => alert.endsWith('MemoryHigh'));
    expect((await named())?.expr).toMatch(/> 0\.8 \* 6442450944$/);
    expect(await named({ nats: { resources: { limits: null } } })).toBeUndefined();
    expect(await named('external-nats')).toBeUndefined();
  });

  it('are found by the labels that Prometheus selects', async () => {
    const rule = find(await render('monitoring'), 'PrometheusRule', 'greedy-infomax');
    expect(rule.metadata.labels?.release).toBe('prometheus');
  });
});

it('the PodMonitor scrapes the operator’s metrics port', async () => {
  const objects = await render('monitoring');
  const monitor = find(objects, 'PodMonitor', 'greedy-infomax-operator');
  const { selector, template } = find(objects, 'Deployment', 'greedy-infomax-operator').spec;
  expect(monitor.metadata.labels?.release).toBe('prometheus');
  expect(monitor.spec.selector).toEqual(selector);
  const ports = template.spec.containers[0].ports.map(({ name }: { name: string }) => name);
  const [endpoint] = monitor.spec.podMetricsEndpoints;
  expect(ports).toContain(endpoint.port);
  // Prevents Prometheus from overwriting the run's namespace label with the operator's namespace.
  expect(endpoint.honorLabels).toBe(true);
});

it('monitoring objects exist only if enabled', async () => {
  const objects = await render();
  expect(ofKind(objects, 'PodMonitor')).toEqual([]);
  expect(ofKind(objects, 'PrometheusRule')).toEqual([]);
  expect(ofKind(objects, 'ConfigMap').map(({ metadata }) => metadata.name)).toEqual([
    'greedy-infomax-nats',
  ]);
});

it('the names of runs are served only if enabled', async () => {
  const argsOf = async (...values: Parameters<typeof render>) =>
    find(await render(...values), 'Deployment', 'greedy-infomax-operator').spec.template.spec
      .containers[0].args;
  expect(await argsOf()).not.toContain('--metrics-runs');
  expect(await argsOf('monitoring')).toContain('--metrics-runs');
});
