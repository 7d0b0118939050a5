import type { ModulePodTemplate, PodTemplate } from '@greedy-infomax/crds';
import type { V1Job } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import type { RunDefaults } from './run-defaults.ts';
import { applied, aRun, condition, plan, withModule } from './testing/builders.ts';
import type { PlanOptions } from './types.ts';

const specOf = (podTemplate: PodTemplate, options: Partial<PlanOptions> = {}) => {
  const [job] = applied(plan(aRun({ podTemplate }), {}, undefined, options), 'Job');
  return job?.spec?.template.spec;
};

const refusalOf = (run: ReturnType<typeof aRun>, options: Partial<PlanOptions> = {}) => {
  const planned = plan(run, {}, undefined, options);
  const failed = condition(planned, 'Failed');
  if (failed?.status === 'True') expect(applied(planned, 'Job')).toEqual([]);
  return failed?.status === 'True' ? failed.message : undefined;
};

describe("a run's pod template", () => {
  test('may set any field of a pod', () => {
    const spec = specOf({
      spec: {
        schedulerName: 'packer',
        topologySpreadConstraints: [{ topologyKey: 'zone', maxSkew: 1 }],
        terminationGracePeriodSeconds: 600,
        imagePullSecrets: [{ name: 'registry' }],
        initContainers: [{ name: 'proxy', image: 'proxy:1', restartPolicy: 'Always' }],
        containers: [
          { name: 'trainer', imagePullPolicy: 'Always', startupProbe: { failureThreshold: 900 } },
        ],
        aFieldOfTomorrow: true,
      },
    });
    expect(spec).toMatchObject({
      schedulerName: 'packer',
      topologySpreadConstraints: [{ topologyKey: 'zone', maxSkew: 1 }],
      terminationGracePeriodSeconds: 600,
      imagePullSecrets: [{ name: 'registry' }],
      initContainers: [{ name: 'proxy', image: 'proxy:1', restartPolicy: 'Always' }],
      aFieldOfTomorrow: true,
      restartPolicy: 'Never',
    });
    const [trainer] = spec?.containers ?? [];
    expect(trainer?.imagePullPolicy).toBe('Always');
    expect(trainer?.startupProbe).toMatchObject({ failureThreshold: 900, periodSeconds: 5 });
  });

  test('may leave user and group to the cluster', () => {
    const none = { runAsUser: null, runAsGroup: null, fsGroup: null };
    expect(specOf({ spec: { securityContext: none } })?.securityContext).toEqual({
      runAsNonRoot: true,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });

  test('comes before that of a module, and after that of the installation', () => {
    const spec = (schedulerName: string) => ({ spec: { schedulerName } });
    const run = withModule(
      'second',
      { podTemplate: spec('module') },
      aRun({ podTemplate: spec('run') }),
    );
    const runDefaults = { podTemplate: { spec: { schedulerName: 'all', nodeName: 'n' } } };
    const [first, second] = applied(plan(run, {}, undefined, { runDefaults }), 'Job');
    expect(first?.spec?.template.spec).toMatchObject({ schedulerName: 'run', nodeName: 'n' });
    expect(second?.spec?.template.spec).toMatchObject({ schedulerName: 'module', nodeName: 'n' });
  });

  test('names devices in place of the one GPU', () => {
    const limitsOf = (resources: Record<string, unknown>) =>
      specOf({ spec: { containers: [{ name: 'trainer', resources }] } })?.containers[0]?.resources;
    expect(limitsOf({ limits: { cpu: 2 } })?.limits).toEqual({ cpu: '2', 'nvidia.com/gpu': '1' });
    expect(limitsOf({ limits: { 'amd.com/gpu': 2 } })?.limits).toEqual({ 'amd.com/gpu': '2' });
    const claims = [{ name: 'gpu' }];
    expect(limitsOf({ claims })).toEqual({ claims, limits: {} });
  });

  const container = (fields: object): ModulePodTemplate => ({
    spec: { containers: [{ name: 'trainer', ...fields }] },
  });
  const trainer = 'spec.containers[0]';
  test.each<[string, ModulePodTemplate]>([
    [`${trainer}.command`, container({ command: ['sh'] })],
    [`${trainer}.args`, container({ args: [] })],
    [`${trainer}.workingDir`, container({ workingDir: '/' })],
    [`${trainer}.terminationMessagePath`, container({ terminationMessagePath: '/x' })],
    [`${trainer}.env[NATS_URL]`, container({ env: [{ name: 'NATS_URL', value: 'nats://me' }] })],
    [
      `${trainer}.volumeMounts[/etc/greedy-infomax]`,
      container({ volumeMounts: [{ name: 'x', mountPath: '/etc/greedy-infomax' }] }),
    ],
    [
      `${trainer}.volumeMounts[/etc/]`,
      container({ volumeMounts: [{ name: 'x', mountPath: '/etc/' }] }),
    ],
    ['spec.volumes[checkpoints]', { spec: { volumes: [{ name: 'checkpoints', emptyDir: {} }] } }],
    ['spec.restartPolicy', { spec: { restartPolicy: 'OnFailure' } }],
    ['spec.hostname', { spec: { hostname: 'x' } }],
    ['spec.subdomain', { spec: { subdomain: 'x' } }],
    [
      'metadata.labels[greedyinfomax.dev/run]',
      { metadata: { labels: { 'greedyinfomax.dev/run': 'x' } } },
    ],
    [
      'metadata.labels[app.kubernetes.io/name]',
      { metadata: { labels: { 'app.kubernetes.io/name': 'x' } } },
    ],
    ['metadata.labels[job-name]', { metadata: { labels: { 'job-name': 'x' } } }],
  ])('cannot set %s', (path, podTemplate) => {
    expect(refusalOf(aRun({ podTemplate }))).toMatch(`spec.podTemplate.${path} cannot be set: `);
    const inModule = withModule('second', { podTemplate });
    expect(refusalOf(inModule)).toMatch(`spec.modules[1].podTemplate.${path} cannot be set: `);
  });

  test('cannot set the operator’s variables and volumes by shorthand, either', () => {
    const env = [{ name: 'NATS_URL', value: 'nats://me' }];
    expect(refusalOf(aRun({ podTemplate: { env } }))).toMatch(
      'spec.podTemplate.env[NATS_URL] cannot',
    );
    const volumes = [{ name: 'a', mountPath: '/etc', emptyDir: {} }];
    expect(refusalOf(aRun({ podTemplate: { volumes } }))).toMatch(
      'spec.podTemplate.volumeMounts[/etc] cannot',
    );
  });

  test('may mount into a folder beside the operator’s', () => {
    const volumeMounts = [{ name: 'x', mountPath: '/etc/greedy-infomax-2' }];
    const podTemplate = container({ volumeMounts });
    expect(refusalOf(aRun({ podTemplate }))).toBeUndefined();
  });

  test.each<[string, PodTemplate]>([
    ['spec.hostNetwork', { spec: { hostNetwork: true } }],
    ['spec.hostPID', { spec: { hostPID: true } }],
    ['spec.hostIPC', { spec: { hostIPC: true } }],
    ['spec.volumes[0].hostPath', { spec: { volumes: [{ name: 'x', hostPath: { path: '/' } }] } }],
    ['volumes[0].hostPath', { volumes: [{ name: 'x', mountPath: '/x', hostPath: { path: '/' } }] }],
    [`${trainer}.securityContext.privileged`, container({ securityContext: { privileged: true } })],
    [
      'spec.initContainers[0].securityContext.privileged',
      { spec: { initContainers: [{ name: 'x', securityContext: { privileged: true } }] } },
    ],
    [
      `${trainer}.securityContext.capabilities.add`,
      container({ securityContext: { capabilities: { add: ['SYS_ADMIN'] } } }),
    ],
    [
      `${trainer}.securityContext.procMount`,
      container({ securityContext: { procMount: 'Unmasked' } }),
    ],
    [`${trainer}.ports[0].hostPort`, container({ ports: [{ containerPort: 1, hostPort: 1 }] })],
    [
      'spec.securityContext.windowsOptions.hostProcess',
      { spec: { securityContext: { windowsOptions: { hostProcess: true } } } },
    ],
  ])('gets no access to the node by %s unless the operator allows it', (path, podTemplate) => {
    const message = `spec.podTemplate.${path} gives access to the node`;
    expect(refusalOf(aRun({ podTemplate }))).toMatch(message);
    expect(refusalOf(aRun({ podTemplate }), { allowHostAccess: true })).toBeUndefined();
    if (path.startsWith('volumes')) return;
    const inModule = withModule('second', { podTemplate: podTemplate as ModulePodTemplate });
    expect(refusalOf(inModule)).toMatch(`spec.modules[1].podTemplate.${path} gives access`);
  });

  test('may hold 32 KiB together with those of the modules', () => {
    const annotations = { a: 'x'.repeat(4000) };
    const filled = Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [`a${i}`, annotations.a]),
    );
    const podTemplate = { metadata: { annotations: filled } };
    expect(refusalOf(aRun({ podTemplate }))).toBeUndefined();
    const run = withModule(
      'second',
      { podTemplate: { metadata: { annotations } } },
      aRun({ podTemplate }),
    );
    expect(refusalOf(run)).toMatch(/spec.podTemplate has \d+ bytes .* at most 32768/);
  });

  test('may not be nested without end', () => {
    let deep: unknown = {};
    for (let i = 0; i < 5000; i++) deep = { a: deep };
    expect(refusalOf(aRun({ podTemplate: { spec: { affinity: { deep } } } }))).toMatch(
      'has more than 64 levels',
    );
  });
});

describe('defaults of the installation', () => {
  const podsOf = (runDefaults: RunDefaults) => {
    const [job] = applied(plan(aRun(), {}, undefined, { runDefaults }), 'Job') as V1Job[];
    return job?.spec?.template.spec;
  };

  test('replace the security context of the pods', () => {
    const podSecurityContext = { runAsNonRoot: true };
    expect(podsOf({ podSecurityContext })?.securityContext).toEqual(podSecurityContext);
  });

  test('are the resources of trainers whose run names none', () => {
    const resources = { limits: { cpu: 1, 'nvidia.com/gpu': 0 } };
    expect(podsOf({ resources })?.containers[0]?.resources?.limits).toEqual({ cpu: '1' });
  });

  test('cannot change the labels that select pods', () => {
    const labels = { 'greedyinfomax.dev/run': 'other', team: 'x' };
    const runDefaults = { podTemplate: { metadata: { labels } } };
    const [job] = applied(plan(aRun(), {}, undefined, { runDefaults }), 'Job');
    expect(job?.spec?.template.metadata?.labels).toMatchObject({
      'greedyinfomax.dev/run': 'small',
      team: 'x',
    });
  });
});
