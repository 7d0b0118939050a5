import { describe, expect, it } from 'vitest';
import { find, ofKind, type Rendered, render } from './render.ts';

/** Reports whether a label selector selects a pod. */
const picks = (selector: { matchLabels?: Record<string, string> }, labels: object): boolean =>
  Object.entries(selector.matchLabels ?? {}).every(
    ([key, value]) => (labels as Record<string, string>)[key] === value,
  );

const labelsOf = (objects: Rendered[], kind: string, name: string) =>
  find(objects, kind, name).spec.template.metadata.labels;

/** Labels that the operator sets (`podTemplate` in operator/src/plan/kubernetes/pod.ts). */
const TRAINER = {
  'app.kubernetes.io/name': 'greedy-infomax',
  'app.kubernetes.io/component': 'trainer',
};

describe('NATS', () => {
  it('takes operator, trainers, evaluations and the install check, and no other pod', async () => {
    const objects = await render();
    const policy = find(objects, 'NetworkPolicy', 'greedy-infomax-nats').spec;
    const [{ from, ports }] = policy.ingress;
    expect(policy.ingress).toHaveLength(1);
    expect(ports).toEqual([{ port: 4222, protocol: 'TCP' }]);
    const lets = (labels: object) =>
      from.some(({ podSelector }: Rendered) => picks(podSelector, labels));
    expect(lets(labelsOf(objects, 'Deployment', 'greedy-infomax-operator'))).toBe(true);
    expect(
      lets(find(objects, 'Pod', /^greedy-infomax-install-check-/).metadata.labels as object),
    ).toBe(true);
    expect(lets(TRAINER)).toBe(true);
    expect(lets({ ...TRAINER, 'app.kubernetes.io/component': 'evaluation' })).toBe(true);
    // Evaluation pods of an older operator.
    expect(lets({ ...TRAINER, 'app.kubernetes.io/component': 'readout' })).toBe(true);
    expect(lets({ ...TRAINER, 'app.kubernetes.io/component': 'cleanup' })).toBe(false);
    expect(lets({ 'app.kubernetes.io/name': 'greedy-infomax' })).toBe(false);
    expect(lets({ app: 'other' })).toBe(false);
    const trainers = from.find(({ podSelector }: Rendered) => picks(podSelector, TRAINER));
    expect(trainers.namespaceSelector).toEqual({});
    expect(policy.policyTypes).toEqual(['Ingress', 'Egress']);
    expect(policy.egress).toEqual([]);
    expect(picks(policy.podSelector, labelsOf(objects, 'Deployment', 'greedy-infomax-nats'))).toBe(
      true,
    );
  });

  it('admits trainers of the watched namespaces only', async () => {
    const policy = find(await render('namespaced'), 'NetworkPolicy', 'greedy-infomax-nats').spec;
    const [trainers] = policy.ingress[0].from.filter((each: Rendered) => each.namespaceSelector);
    expect(trainers.namespaceSelector.matchExpressions).toEqual([
      { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['team-a', 'team-b'] },
    ]);
  });
});

describe('trainers', () => {
  const policies = async (...values: string[]) =>
    ofKind(await render(...values), 'NetworkPolicy').filter(({ metadata }) =>
      metadata.name.endsWith('-trainer'),
    );

  it('may connect to NATS and DNS, and accept no connections', async () => {
    const objects = await render();
    const { spec } = find(objects, 'NetworkPolicy', 'greedy-infomax-trainer');
    expect(picks(spec.podSelector, TRAINER)).toBe(true);
    expect(spec.ingress).toEqual([]);
    const [nats, dns, ...others] = spec.egress;
    expect(others).toEqual([]);
    expect(nats.to[0].namespaceSelector.matchLabels).toEqual({
      'kubernetes.io/metadata.name': 'gim',
    });
    const server = labelsOf(objects, 'Deployment', 'greedy-infomax-nats');
    expect(picks(nats.to[0].podSelector, server)).toBe(true);
    expect(nats.ports).toEqual([{ port: 4222, protocol: 'TCP' }]);
    expect(dns.ports.map(({ port }: { port: number }) => port)).toEqual([53, 53]);
  });

  it.each<[string[], string[]]>([
    [[], ['gim']],
    [['namespaced'], ['team-a', 'team-b']],
    [['network'], ['team-a', 'team-b']],
  ])('with the values %j are limited in %j', async (values, namespaces) => {
    const found = await policies(...values);
    expect(found.map(({ metadata }) => metadata.namespace)).toEqual(namespaces);
  });

  it('may read data over the network where the values allow it', async () => {
    const [policy] = await policies('network');
    expect(policy?.spec.egress).toHaveLength(3);
    expect(policy?.spec.egress[2].to).toEqual([{ ipBlock: { cidr: '192.0.2.0/24' } }]);
  });

  it('may connect to an external NATS at its port', async () => {
    const [policy] = await policies('external-nats');
    expect(policy?.spec.egress[0]).toEqual({ ports: [{ port: 4222, protocol: 'TCP' }] });
    const elsewhere = await render({ nats: { external: { url: 'tls://nats.example.com:14222' } } });
    const other = find(elsewhere, 'NetworkPolicy', 'greedy-infomax-trainer');
    expect(other.spec.egress[0].ports[0].port).toBe(14222);
  });
});

describe('the operator', () => {
  it('may connect to the API server, NATS and DNS; its metrics may be scraped', async () => {
    const objects = await render('network');
    const { spec } = find(objects, 'NetworkPolicy', 'greedy-infomax-operator');
    expect(spec.egress).toHaveLength(3);
    expect(spec.egress[0]).toEqual({
      ports: [{ port: 6443, protocol: 'TCP' }],
      to: [{ ipBlock: { cidr: '198.51.100.7/32' } }],
    });
    expect(spec.ingress[0].ports).toEqual([{ port: 'metrics', protocol: 'TCP' }]);
    const closed = await render({ networkPolicies: { metricsFrom: [] } });
    expect(find(closed, 'NetworkPolicy', 'greedy-infomax-operator').spec.ingress).toEqual([]);
  });
});

it('no policy is created when they are disabled', async () => {
  expect(ofKind(await render('open'), 'NetworkPolicy')).toEqual([]);
});
