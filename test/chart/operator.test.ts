import { describe, expect, it } from 'vitest';
import { ENTRYPOINT } from '../support/operator.ts';
import { find, ofKind, type Rendered, render, type Values } from './render.ts';

const NAME = 'greedy-infomax-operator';
const deployment = async (...values: Values[]) =>
  find(await render(...values), 'Deployment', NAME).spec;
const pod = async (...values: Values[]) => (await deployment(...values)).template.spec;
const argsOf = async (...values: Values[]): Promise<string[]> =>
  (await pod(...values)).containers[0].args;

describe('the Deployment', () => {
  it('runs the operator against the built-in NATS, with its credentials', async () => {
    const { containers, volumes, serviceAccountName } = await pod();
    const [container] = containers;
    expect(serviceAccountName).toBe(NAME);
    expect(container.image).toBe('greedy-infomax/operator:0.1.0');
    expect(container.command).toEqual(ENTRYPOINT);
    expect(container.args).toEqual([
      '--nats=nats://greedy-infomax-nats.gim.svc:4222',
      '--nats-creds=/etc/greedy-infomax/nats/system.creds',
      '--nats-operator-key=/etc/greedy-infomax/nats/operator.seed',
      // Without a volume for files, no account may use file storage.
      '--nats-account-limits={"connections":2000,"consumers":2000,"diskBytes":0,"memoryBytes":2147483648,"streams":1000,"subscriptions":20000}',
      '--nats-credentials-lifetime=86400',
      '--trainer-image=greedy-infomax/trainer:0.1.0',
      expect.stringMatching(/^--run-defaults=\{/),
      '--allow-host-access',
      '--lease-namespace=gim',
      '--concurrency=8',
      '--health-port=8081',
      '--metrics-port=8080',
    ]);
    expect(container.volumeMounts).toEqual([
      { name: 'nats', mountPath: '/etc/greedy-infomax/nats', readOnly: true },
    ]);
    const files = volumes[0].projected.sources.map(({ secret }: Rendered) => [
      secret.name,
      secret.items[0].path,
    ]);
    expect(files).toEqual([
      ['greedy-infomax-nats-keys', 'system.creds'],
      ['greedy-infomax-nats-keys', 'operator.seed'],
    ]);
  });

  it('takes address and Secrets of an external NATS', async () => {
    const args = await argsOf('external-nats');
    expect(args.slice(0, 3)).toEqual([
      '--nats=nats://nats.messaging.svc:4222',
      '--nats-creds=/etc/greedy-infomax/nats/system.creds',
      '--nats-operator-key=/etc/greedy-infomax/nats/operator.seed',
    ]);
    expect(args).toContain('--nats-ca=/etc/greedy-infomax/nats/ca.crt');
    // The chart does not know the server's disk.
    expect(args.join()).toContain('"diskBytes":2147483648');
    const { volumes } = await pod('external-nats');
    const names = volumes[0].projected.sources.map(({ secret }: Rendered) => secret.name);
    expect(names).toEqual(['nats-keys', 'nats-keys', 'nats-ca']);
  });

  it('uses one account of an external NATS for all namespaces', async () => {
    expect((await argsOf('external-nats-one-account')).slice(0, 5)).toEqual([
      '--nats=nats://nats.messaging.svc:4222',
      '--nats-creds=/etc/greedy-infomax/nats/operator.creds',
      '--nats-signing-key=/etc/greedy-infomax/nats/signing.seed',
      '--nats-credentials-lifetime=86400',
      '--nats-ca=/etc/greedy-infomax/nats/ca.crt',
    ]);
    const { volumes } = await pod('external-nats-one-account');
    const names = volumes[0].projected.sources.map(({ secret }: Rendered) => secret.name);
    expect(names).toEqual(['nats-operator', 'nats-ca', 'nats-signing']);
    const both = { nats: { external: { keysSecret: 'nats-keys' } } };
    await expect(render('external-nats-one-account', both)).rejects.toThrow(/excludes credsSecret/);
  });

  it('mounts no Secrets when NATS needs no credentials', async () => {
    const { containers, volumes } = await pod('open');
    expect(volumes).toBeUndefined();
    expect(containers[0].volumeMounts).toBeUndefined();
    expect(containers[0].args.join()).not.toMatch(/creds|-key|-ca=/);
  });

  it.each(['tls-by-cert-manager', 'tls-by-secret'])('trusts the CA of %s', async (name) => {
    expect(await argsOf(name)).toContain('--nats-ca=/etc/greedy-infomax/nats/ca.crt');
  });

  it('probes the ports that the operator serves', async () => {
    const [container] = (await pod({ operator: { metricsPort: 9090 } })).containers;
    expect(container.args).toEqual(
      expect.arrayContaining(['--health-port=8081', '--metrics-port=9090']),
    );
    expect(container.ports).toEqual([
      { name: 'health', containerPort: 8081 },
      { name: 'metrics', containerPort: 9090 },
    ]);
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      expect(container[probe].httpGet.port).toBe('health');
    }
    expect(container.readinessProbe.httpGet.path).toBe('/readyz');
  });

  it('passes on where and how pods run', async () => {
    const template = (
      await deployment('private-registry', {
        imagePullPolicy: 'Always',
        operator: {
          logLevel: 'debug',
          nodeSelector: { pool: 'system' },
          tolerations: [{ key: 'system', operator: 'Exists' }],
          affinity: { podAffinity: {} },
          priorityClassName: 'high',
          podAnnotations: { a: 'b' },
          podLabels: { c: 'd', 'app.kubernetes.io/component': 'mine' },
        },
      })
    ).template;
    expect(template.spec).toMatchObject({
      imagePullSecrets: [{ name: 'registry' }],
      nodeSelector: { pool: 'system' },
      affinity: { podAffinity: {} },
      priorityClassName: 'high',
    });
    expect(template.spec.tolerations[0]).toEqual({ key: 'system', operator: 'Exists' });
    const [container] = template.spec.containers;
    expect(container.image).toMatch(/^registry\.example\.com\/greedy\/operator@sha256:0123/);
    expect(container.args).toContain(
      '--trainer-image=registry.example.com/greedy/trainer-gpu:0.1.0-cuda',
    );
    expect(container.imagePullPolicy).toBe('Always');
    expect(container.env).toEqual([{ name: 'LOG_LEVEL', value: 'debug' }]);
    expect(template.metadata.annotations.a).toBe('b');
    // Users cannot change the labels that select the pods.
    expect(template.metadata.labels).toMatchObject({
      c: 'd',
      'app.kubernetes.io/component': 'operator',
    });
  });

  it('moves from a lost node after 30 seconds, or after the given time', async () => {
    const seconds = async (...values: Values[]) =>
      (await pod(...values)).tolerations.map((each: Rendered) => [
        each.key,
        each.tolerationSeconds,
      ]);
    expect(await seconds()).toEqual([
      ['node.kubernetes.io/not-ready', 30],
      ['node.kubernetes.io/unreachable', 30],
    ]);
    const never = { key: 'node.kubernetes.io/unreachable', operator: 'Exists' };
    expect(await seconds({ operator: { tolerations: [never], moveAfterSeconds: 5 } })).toEqual([
      ['node.kubernetes.io/unreachable', undefined],
      ['node.kubernetes.io/not-ready', 5],
    ]);
  });

  it('leaves the user to the cluster if told so', async () => {
    const { securityContext } = await pod({
      operator: { podSecurityContext: { runAsUser: null, runAsGroup: null, fsGroup: null } },
    });
    expect(securityContext).toEqual({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });
});

describe('several operators', () => {
  it('are spread over nodes and evicted one at a time', async () => {
    const objects = await render('high-availability');
    const { replicas, selector, template } = find(objects, 'Deployment', NAME).spec;
    expect(replicas).toBe(2);
    const [constraint] = template.spec.topologySpreadConstraints;
    expect(constraint).toMatchObject({
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: selector,
    });
    const budget = find(objects, 'PodDisruptionBudget', NAME).spec;
    expect(budget).toEqual({ maxUnavailable: 1, selector });
  });

  it('take other constraints and no disruption budget if told so', async () => {
    const constraints = [{ maxSkew: 2, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }];
    const objects = await render('high-availability', {
      operator: {
        topologySpreadConstraints: constraints,
        podDisruptionBudget: { enabled: false },
      },
    });
    const { template } = find(objects, 'Deployment', NAME).spec;
    expect(template.spec.topologySpreadConstraints).toEqual(constraints);
    expect(ofKind(objects, 'PodDisruptionBudget')).toEqual([]);
  });

  it('have a disruption budget only if there are at least two: otherwise it would block every drain', async () => {
    expect(ofKind(await render(), 'PodDisruptionBudget')).toEqual([]);
  });
});

describe('namespaced', () => {
  it('gets roles in the listed namespaces and none in the cluster', async () => {
    const objects = await render('namespaced');
    expect(objects.filter(({ kind }) => /^(Cluster|CustomResource)/.test(kind))).toEqual([]);
    // Only an operator for all namespaces reads CRDs, which are cluster-scoped, and the leases of other installations.
    const own = find(await render(), 'ClusterRole', NAME).rules.filter(
      ({ apiGroups: [group] }: Rendered) =>
        group !== 'apiextensions.k8s.io' && group !== 'coordination.k8s.io',
    );
    for (const kind of ['Role', 'RoleBinding']) {
      const found = ofKind(objects, kind).filter(({ metadata }) => metadata.name === NAME);
      expect(found.map(({ metadata }) => metadata.namespace)).toEqual(['team-a', 'team-b']);
      for (const { rules } of found) if (kind === 'Role') expect(rules).toEqual(own);
    }
    expect(await argsOf('namespaced')).toContain('--namespaces=team-a,team-b');
  });
});

describe('the service account', () => {
  it('can be an existing one', async () => {
    const objects = await render({ operator: { serviceAccount: { create: false, name: 'own' } } });
    expect(ofKind(objects, 'ServiceAccount').map(({ metadata }) => metadata.name)).not.toContain(
      NAME,
    );
    expect(find(objects, 'Deployment', NAME).spec.template.spec.serviceAccountName).toBe('own');
    expect(find(objects, 'ClusterRoleBinding', NAME).subjects).toEqual([
      { kind: 'ServiceAccount', name: 'own', namespace: 'gim' },
    ]);
  });

  it('gets no roles when they are created elsewhere', async () => {
    const objects = await render({ rbac: { create: false, aggregate: false } });
    const roles = objects.filter(({ kind }) => /Role(Binding)?$/.test(kind));
    // Roles of the other service accounts of the chart remain.
    const names = roles.map(({ metadata }) => metadata.name.replace(/^greedy-infomax-/, ''));
    expect(new Set(names)).toEqual(new Set(['install-check', 'nats-keys']));
  });
});
