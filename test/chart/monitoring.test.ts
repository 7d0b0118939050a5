import { expect, it } from 'vitest';
import { Metrics } from '../../operator/src/controller/metrics.ts';
import { find, ofKind, render } from './render.ts';

interface Panel {
  title: string;
  targets?: { expr: string }[];
}

/** Names of all time series that the operator serves. */
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

it('every panel of the dashboard asks for series that the operator serves', async () => {
  const map = find(await render('monitoring'), 'ConfigMap', 'greedy-infomax-dashboard');
  const dashboard = JSON.parse(map.data['greedy-infomax.json']);
  const names = await served();
  const panels: Panel[] = dashboard.panels.filter(({ type }: { type: string }) => type !== 'row');
  expect(panels.length).toBeGreaterThanOrEqual(10);
  for (const { title, targets = [] } of panels) {
    expect(targets, title).not.toEqual([]);
    for (const { expr } of targets) {
      // Metric names are the words with an underscore that are no function.
      const asked = expr.match(/\b[a-z]+_[a-z_]+\b(?!\s*\()/g) ?? [];
      expect(asked, title).not.toEqual([]);
      for (const name of asked) expect(names, `${title}: ${name}`).toContain(name);
    }
  }
  const variables = JSON.stringify(dashboard.templating);
  for (const [, name = ''] of variables.matchAll(/label_values\((\w+)/g)) {
    expect(names).toContain(name);
  }
  expect(map.metadata.labels?.grafana_dashboard).toBe('1');
  expect(map.metadata.annotations).toEqual({ grafana_folder: 'Training' });
});

it('the PodMonitor reads the operator’s metrics port', async () => {
  const objects = await render('monitoring');
  const monitor = find(objects, 'PodMonitor', 'greedy-infomax-operator');
  const { selector, template } = find(objects, 'Deployment', 'greedy-infomax-operator').spec;
  expect(monitor.metadata.labels?.release).toBe('prometheus');
  expect(monitor.spec.selector).toEqual(selector);
  const ports = template.spec.containers[0].ports.map(({ name }: { name: string }) => name);
  const [endpoint] = monitor.spec.podMetricsEndpoints;
  expect(ports).toContain(endpoint.port);
  // Without it Prometheus would put the operator's namespace over that of the run.
  expect(endpoint.honorLabels).toBe(true);
});

it('neither is there unless wanted', async () => {
  const objects = await render();
  expect(ofKind(objects, 'PodMonitor')).toEqual([]);
  expect(ofKind(objects, 'ConfigMap').map(({ metadata }) => metadata.name)).toEqual([
    'greedy-infomax-nats',
  ]);
});
