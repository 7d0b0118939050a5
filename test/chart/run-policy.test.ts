import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { ofKind, type Rendered, render } from './render.ts';

/**
 * Fields that authors of runs may set, under the chart's ValidatingAdmissionPolicy on a real API
 * server.
 */

let cluster: Cluster;
let folder: string;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
const applyAll = (objects: object[]) =>
  cluster.apply(objects.map((object) => `---\n${stringify(object)}`).join(''));

const ALLOWED = {
  secrets: ['registry'],
  serviceAccounts: ['reader'],
  priorityClasses: ['batch'],
  csiDrivers: ['secrets.example.com'],
  volumeTypes: ['nfs'],
};

type Spec = Record<string, unknown>;

const aRun = (podTemplate: object = {}, module: object = {}, spec: Spec = {}) => ({
  apiVersion: 'greedyinfomax.dev/v1alpha1',
  kind: 'GreedyInfoMaxRun',
  metadata: { name: 'small', namespace: 'default' } as Record<string, string>,
  spec: {
    data: { format: 'digits' },
    augmentation: { crop: 28 },
    patches: { size: 4, stride: 4 },
    modules: [
      { name: 'first', layers: [{ type: 'conv', channels: 8 }] },
      { name: 'second', layers: [{ type: 'conv', channels: 8 }], podTemplate: module },
    ],
    objective: { type: 'infoNCE' },
    training: { samples: 640 },
    podTemplate,
    ...spec,
  },
});

/**
 * Resolves with the API server's response to a user who writes the run; a dry run, so nothing is
 * stored.
 */
function answer(run: object, user = 'author', ...verb: string[]): Promise<string> {
  const file = join(folder, `${Math.random()}.json`);
  writeFileSync(file, JSON.stringify(run));
  const [what = 'create', ...flags] = verb;
  return kubectl(what, `--filename=${file}`, `--as=${user}`, '--dry-run=server', ...flags).catch(
    (error: Error) => error.message,
  );
}

const role = (name: string, rules: object[]) => [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name, namespace: 'default' },
    rules,
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name, namespace: 'default' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }],
  },
];

const RUNS_ONLY = {
  apiGroups: ['greedyinfomax.dev'],
  resources: ['greedyinfomaxruns'],
  verbs: ['create', 'get', 'update', 'patch'],
};
const may = (verb: string, resource: string, ...resourceNames: string[]) => ({
  apiGroups: [''],
  resources: [resource],
  verbs: [verb],
  ...(resourceNames.length > 0 && { resourceNames }),
});

beforeAll(async () => {
  cluster = await startCluster({ nodes: 0 });
  folder = mkdtempSync(join(tmpdir(), 'gim-policy-'));
  const objects = await render({ policy: { allowed: ALLOWED } });
  await applyAll(ofKind(objects, 'CustomResourceDefinition'));
  await cluster.crdsEstablished();
  const isPolicy = ({ kind }: Rendered) => kind.startsWith('ValidatingAdmissionPolicy');
  await applyAll([
    ...objects.filter(isPolicy),
    ...role('author', [RUNS_ONLY]),
    ...role('owner', [
      RUNS_ONLY,
      may('get', 'secrets', 'mine', 's1', 's2', 's3', 's4', 's5', 's6'),
      may('get', 'configmaps', 'mine'),
      may('get', 'persistentvolumeclaims', 'mine'),
      may('create', 'persistentvolumeclaims'),
    ]),
    ...role('developer', [RUNS_ONLY, may('create', 'pods')]),
  ]);
  const isRefused = async () =>
    (await answer(aRun({ spec: { hostPID: true } }))).includes('host namespaces');
  await vi.waitUntil(isRefused, { timeout: 240_000, interval: 500 });
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const volume = (source: object) => ({ spec: { volumes: [{ name: 'x', ...source }] } });
const container = (fields: object, list = 'containers') => ({
  spec: { [list]: [{ name: 'x', image: 'x', ...fields }] },
});
const context = (securityContext: object) => container({ securityContext });
const fromSecret = [{ name: 'A', valueFrom: { secretKeyRef: { name: 'theirs', key: 'k' } } }];

const REFUSED: [what: string, podTemplate: object, words: string][] = [
  ['a Secret as volume', volume({ secret: { secretName: 'theirs' } }), 'Secret theirs'],
  ['a Secret in a variable', container({ env: fromSecret }), 'Secret theirs'],
  [
    'a Secret of variables',
    container({ envFrom: [{ secretRef: { name: 'theirs' } }] }),
    'Secret theirs',
  ],
  [
    'a Secret of an init container',
    container({ env: fromSecret }, 'initContainers'),
    'Secret theirs',
  ],
  ['a pull secret', { spec: { imagePullSecrets: [{ name: 'theirs' }] } }, 'Secret theirs'],
  [
    'a projected Secret',
    volume({
      projected: { sources: [{ configMap: { name: 'mine' } }, { secret: { name: 'theirs' } }] },
    }),
    'Secret theirs',
  ],
  [
    'the Secret of a CSI driver',
    volume({ csi: { driver: 'secrets.example.com', nodePublishSecretRef: { name: 'theirs' } } }),
    'Secret theirs',
  ],
  ['another CSI driver', volume({ csi: { driver: 'other' } }), 'CSI drivers'],
  ['a ConfigMap as volume', volume({ configMap: { name: 'theirs' } }), 'ConfigMap theirs'],
  [
    'a ConfigMap of variables',
    container({ envFrom: [{ configMapRef: { name: 'theirs' } }] }),
    'ConfigMap theirs',
  ],
  [
    'a claim',
    volume({ persistentVolumeClaim: { claimName: 'theirs' } }),
    'PersistentVolumeClaim theirs',
  ],
  [
    'an ephemeral claim',
    volume({ ephemeral: { volumeClaimTemplate: { spec: {} } } }),
    'ephemeral volumes',
  ],
  ['a folder of the node', volume({ hostPath: { path: '/' } }), 'a volume of a run may be of type'],
  ['another type of volume', volume({ iscsi: { lun: 0 } }), 'a volume of a run may be of type'],
  ['a service account', { spec: { serviceAccountName: 'admin' } }, 'service accounts of policy'],
  [
    'a service account by its old name',
    { spec: { serviceAccount: 'admin' } },
    'service accounts of policy',
  ],
  ['a token', { spec: { automountServiceAccountToken: true } }, 'a token of a service account'],
  [
    'a projected token',
    volume({ projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }),
    'a token of a service account',
  ],
  ['a priority class', { spec: { priorityClassName: 'system-node-critical' } }, 'priority classes'],
  ['a node', { spec: { nodeName: 'node0' } }, 'may not name its node'],
  [
    'a resource claim',
    { spec: { resourceClaims: [{ name: 'x', resourceClaimName: 'theirs' }] } },
    'resource claims',
  ],
  ['the network of the host', { spec: { hostNetwork: true } }, 'host namespaces'],
  ['processes of the host', { spec: { hostPID: true } }, 'host namespaces'],
  ['IPC of the host', { spec: { hostIPC: true } }, 'host namespaces'],
  [
    'a port of the host',
    container({ ports: [{ containerPort: 1, hostPort: 1 }] }),
    'ports of the host',
  ],
  [
    'a probe of another host',
    container({ livenessProbe: { httpGet: { host: 'x', port: 1 } } }),
    'ports of the host',
  ],
  ['privileges', context({ privileged: true }), 'may not have root'],
  [
    'privileges of an init container',
    container({ securityContext: { privileged: true } }, 'initContainers'),
    'may not have root',
  ],
  [
    'privileges of an ephemeral container',
    container({ securityContext: { privileged: true } }, 'ephemeralContainers'),
    'may not have root',
  ],
  ['escalation', context({ allowPrivilegeEscalation: null }), 'may not have root'],
  ['root', context({ runAsUser: 0 }), 'may not have root'],
  ['root for the pod', { spec: { securityContext: { runAsNonRoot: null } } }, 'may not have root'],
  ['a capability', context({ capabilities: { add: ['SYS_ADMIN'] } }), 'may not have root'],
  ['no seccomp profile', context({ seccompProfile: { type: 'Unconfined' } }), 'may not have root'],
  [
    'a process of the host',
    { spec: { securityContext: { windowsOptions: { hostProcess: true } } } },
    'may not have root',
  ],
  [
    'sysctls',
    { spec: { securityContext: { sysctls: [{ name: 'a', value: 'b' }] } } },
    'may not have root',
  ],
  [
    'no AppArmor profile',
    {
      metadata: {
        annotations: { 'container.apparmor.security.beta.kubernetes.io/x': 'unconfined' },
      },
    },
    'AppArmor',
  ],
];

describe('a user who may only create runs', () => {
  it('may train, with the volumes that need no right', async () => {
    const volumes = [
      { name: 'a', emptyDir: {} },
      { name: 'b', downwardAPI: { items: [] } },
      { name: 'c', nfs: { server: 'x', path: '/x' } },
      { name: 'd', csi: { driver: 'secrets.example.com' } },
    ];
    const podTemplate = {
      image: 'mine:1',
      nodeSelector: { zone: 'a' },
      spec: {
        volumes,
        serviceAccountName: 'reader',
        automountServiceAccountToken: true,
        priorityClassName: 'batch',
        imagePullSecrets: [{ name: 'registry' }],
        securityContext: { runAsUser: 1000, fsGroup: null },
        containers: [{ name: 'x', image: 'x', securityContext: { privileged: false } }],
      },
    };
    expect(await answer(aRun(podTemplate, {}, { resources: { limits: { cpu: 1 } } }))).toContain(
      'created (server dry run)',
    );
  });

  it.each(REFUSED)(
    'gets %s neither for the run nor for a module',
    async (_, podTemplate, words) => {
      expect(await answer(aRun(podTemplate))).toContain(words);
      expect(await answer(aRun({}, podTemplate))).toContain(words);
    },
  );

  it.each<[string, object, string]>([
    [
      'a Secret as volume',
      { volumes: [{ name: 'x', mountPath: '/x', secret: { secretName: 'theirs' } }] },
      'Secret theirs',
    ],
    ['a Secret in a variable', { env: fromSecret }, 'Secret theirs'],
    ['a pull secret', { imagePullSecrets: [{ name: 'theirs' }] }, 'Secret theirs'],
    [
      'a claim',
      { volumes: [{ name: 'x', mountPath: '/x', persistentVolumeClaim: { claimName: 'theirs' } }] },
      'PersistentVolumeClaim theirs',
    ],
    [
      'a folder of the node',
      { volumes: [{ name: 'x', mountPath: '/x', hostPath: { path: '/' } }] },
      'a volume of a run',
    ],
    ['a service account', { serviceAccountName: 'admin' }, 'service accounts'],
    ['a priority class', { priorityClassName: 'system-node-critical' }, 'priority classes'],
  ])('gets %s by no shorthand', async (_, podTemplate, words) => {
    expect(await answer(aRun(podTemplate))).toContain(words);
  });

  it('gets no claim for checkpoints', async () => {
    const checkpoints = { storage: { volumeClaimName: 'theirs' } };
    expect(await answer(aRun({}, {}, { checkpoints }))).toContain('PersistentVolumeClaim theirs');
  });
});

describe('a user who may read the objects that a run names', () => {
  const named = {
    spec: {
      volumes: [
        { name: 'a', secret: { secretName: 'mine' } },
        { name: 'b', configMap: { name: 'mine' } },
        { name: 'c', persistentVolumeClaim: { claimName: 'mine' } },
        { name: 'd', ephemeral: { volumeClaimTemplate: { spec: {} } } },
      ],
      imagePullSecrets: ['s1', 's2', 's3', 's4', 'mine'].map((name) => ({ name })),
    },
  };

  it('may name them', async () => {
    const checkpoints = { storage: { volumeClaimName: 'mine' } };
    const said = await answer(aRun(named, named, { checkpoints }), 'owner');
    expect(said).toContain('created (server dry run)');
    expect(await answer(aRun(named), 'author')).toContain('Secret s1');
  });

  it('is told when there are more names than the policy can check', async () => {
    const secrets = ['s1', 's2', 's3', 's4', 's5', 's6'].map((name) => ({ name }));
    const run = aRun({ spec: { imagePullSecrets: secrets } });
    expect(await answer(run, 'owner')).toContain('at most 5 different Secrets');
  });
});

describe('a user who may create pods', () => {
  it.each(REFUSED)('may ask for %s', async (_, podTemplate) => {
    expect(await answer(aRun(podTemplate, podTemplate), 'developer')).toContain('created');
  });
});

describe('a run of another user', () => {
  const theirs = aRun(volume({ secret: { secretName: 'theirs' } }));

  it('may be suspended, but its pod templates may not be changed', async () => {
    await applyAll([theirs]);
    const suspended = { ...theirs, spec: { ...theirs.spec, suspend: true } };
    const force = ['replace', '--output=name'];
    expect(await answer(suspended, 'author', ...force)).toContain('greedyinfomaxrun');
    const { podTemplate } = theirs.spec;
    const spied = {
      ...theirs,
      spec: { ...theirs.spec, podTemplate: { ...podTemplate, image: 'spy' } },
    };
    expect(await answer(spied, 'author', ...force)).toContain('Secret theirs');
    await kubectl('delete', 'gimrun', 'small');
  });
});

it('an exempt namespace has no such limits', async () => {
  await kubectl('label', 'namespace', 'default', 'greedyinfomax.dev/run-policy=exempt');
  const said = () => answer(aRun({ spec: { hostPID: true } }));
  await expect.poll(said, { timeout: 120_000, interval: 500 }).toContain('small created');
});
