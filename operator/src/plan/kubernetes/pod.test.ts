import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { resourcesWithGpu } from './pod.ts';
import { applied, aRun, plan, withModule } from './testing/builders.ts';

const podOf = (run = aRun()) => {
  const [job] = applied(plan(run), 'Job');
  const spec = job?.spec?.template.spec;
  return { spec, metadata: job?.spec?.template.metadata, container: spec?.containers[0] };
};

test('a trainer has no root, no writable root file system and no token', () => {
  const { spec, container } = podOf();
  expect(spec).toMatchObject({
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 60,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  });
  expect(container?.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  expect(spec?.volumes).toContainEqual({ name: 'tmp', emptyDir: {} });
  expect(container?.volumeMounts).toContainEqual({ name: 'tmp', mountPath: '/tmp' });
});

test('a trainer is told its configuration, its folder, its number and the server', () => {
  const { container } = podOf();
  expect(container?.image).toBe('trainer:1');
  expect(container?.args).toEqual([
    '--config',
    '/etc/greedy-infomax/module.json',
    '--out',
    '/var/lib/greedy-infomax/small/first/replica-$(JOB_COMPLETION_INDEX)',
    '--replica',
    '$(JOB_COMPLETION_INDEX)',
  ]);
  expect(container?.env).toContainEqual({ name: 'NATS_URL', value: 'nats://nats:4222' });
  // The termination message is what the trainer wrote, not the end of its log.
  expect(container?.env).toContainEqual({
    name: 'TERMINATION_LOG',
    value: container?.terminationMessagePath ?? '/dev/termination-log',
  });
});

test('checkpoints lie on the claim, or end with the pod', () => {
  const claimed = podOf(
    aRun({ checkpoints: { everySeconds: 60, keep: 3, storage: { volumeClaimName: 'disk' } } }),
  );
  const volume = (pod: typeof claimed) => pod.spec?.volumes?.find((v) => v.name === 'checkpoints');
  expect(volume(claimed)?.persistentVolumeClaim).toEqual({ claimName: 'disk' });
  expect(claimed.container?.volumeMounts).toContainEqual({
    name: 'checkpoints',
    mountPath: '/var/lib/greedy-infomax',
  });
  expect(volume(podOf())?.emptyDir).toEqual({});
  const storage = { objectStore: {} };
  const inBucket = podOf(aRun({ checkpoints: { everySeconds: 60, keep: 3, storage } }));
  expect(volume(inBucket)?.emptyDir).toEqual({});
});

test('the shorthand fields of the pod template are merged, and labels that select pods stay', () => {
  const { spec, metadata, container } = podOf(
    aRun({
      podTemplate: {
        image: 'mine:2',
        nodeSelector: { zone: 'a' },
        tolerations: [{ key: 'gpu', operator: 'Exists' }],
        priorityClassName: 'high',
        labels: { team: 'x', 'greedyinfomax.dev/run': 'other' },
        annotations: { note: 'y' },
        env: [{ name: 'LOG_LEVEL', value: 'debug' }],
        volumes: [
          {
            name: 'data',
            mountPath: '/data',
            readOnly: true,
            persistentVolumeClaim: { claimName: 'stl10' },
          },
        ],
      },
    }),
  );
  expect(spec).toMatchObject({
    nodeSelector: { zone: 'a' },
    tolerations: [{ key: 'gpu', operator: 'Exists' }],
    priorityClassName: 'high',
  });
  expect(spec?.volumes).toContainEqual({
    name: 'data',
    persistentVolumeClaim: { claimName: 'stl10' },
  });
  expect(metadata?.labels).toMatchObject({ team: 'x', 'greedyinfomax.dev/run': 'small' });
  expect(metadata?.annotations).toEqual({ note: 'y' });
  expect(container).toMatchObject({ image: 'mine:2' });
  expect(container?.env).toContainEqual({ name: 'LOG_LEVEL', value: 'debug' });
  expect(container?.volumeMounts).toContainEqual({
    name: 'data',
    mountPath: '/data',
    readOnly: true,
  });
});

test.each([
  ['one GPU by default', undefined, { limits: { 'nvidia.com/gpu': '1' } }],
  [
    'one GPU beside CPU and memory',
    { requests: { cpu: 2 }, limits: { memory: '4Gi' } },
    { requests: { cpu: '2' }, limits: { 'nvidia.com/gpu': '1', memory: '4Gi' } },
  ],
  [
    'as many as the run says',
    { limits: { 'nvidia.com/gpu': 2 } },
    { limits: { 'nvidia.com/gpu': '2' } },
  ],
  ['none when it says 0', { limits: { 'nvidia.com/gpu': 0 } }, { limits: {} }],
  ['another device alone', { limits: { 'amd.com/gpu': 1 } }, { limits: { 'amd.com/gpu': '1' } }],
  [
    'a part of a GPU alone',
    { limits: { 'nvidia.com/mig-1g.10gb': 1 } },
    { limits: { 'nvidia.com/mig-1g.10gb': '1' } },
  ],
])('resources: %s', (_, resources, expected) => {
  expect(resourcesWithGpu(resources)).toEqual(expected);
});

test('resources of a module stand in place of those of the run', () => {
  const run = withModule(
    'first',
    { resources: { limits: { cpu: 8 } } },
    aRun({ resources: { limits: { cpu: 1, memory: '1Gi' } } }),
  );
  expect(podOf(run).container?.resources?.limits).toEqual({ cpu: '8', 'nvidia.com/gpu': '1' });
});

test('probes are programs that node takes, and fail without a progress file', () => {
  const { container } = podOf();
  for (const probe of [container?.startupProbe, container?.livenessProbe]) {
    const [, ...args] = probe?.exec?.command ?? [];
    const script = String(args[1]).replace('/tmp/progress', `${import.meta.dirname}/`);
    const run = (text: string) => execFileSync(process.execPath, ['-e', text]);
    expect(() => run(script.replace(/Date.now\(\) - .*mtimeMs/, '0'))).not.toThrow();
    expect(() => run(script.replace(import.meta.dirname, '/no/such'))).toThrow(/failed/);
  }
});
