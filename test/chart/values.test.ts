import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { helmBinary } from '../support/helm.ts';
import { CHART, manifest, type Rendered, render, type Values } from './render.ts';

type Tree = { [key: string]: unknown };
const run = promisify(execFile);
const combinations = readdirSync(join(CHART, 'ci')).map((name) => name.replace('.yaml', ''));

/** Returns `a.b.c` for every leaf value. */
function leaves(tree: Tree, at = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const path = at === '' ? key : `${at}.${key}`;
    const inner = typeof value === 'object' && value !== null && !Array.isArray(value);
    return inner && Object.keys(value).length > 0 ? leaves(value as Tree, path) : [path];
  });
}

const text = (name: string) => readFileSync(join(CHART, name), 'utf8');
const values = parse(text('values.yaml')) as Tree;
const schema = JSON.parse(text('values.schema.json')) as Tree;

/** Returns the schema of the value at a path; undefined if the schema does not know it. */
function schemaAt(path: string): Tree | undefined {
  let node: Tree | undefined = schema;
  for (const key of path.split('.')) {
    node = ((node?.properties ?? {}) as Tree)[key] as Tree | undefined;
    if (node === undefined) return undefined;
    const reference = node.$ref as string | undefined;
    if (reference)
      node = (schema.definitions as Tree)[reference.replace('#/definitions/', '')] as Tree;
    if (String(node.type).startsWith('object') && !node.properties) return node; // Any content.
  }
  return node;
}

function* objectsOf(node: unknown): Generator<Tree> {
  if (typeof node !== 'object' || node === null) return;
  if ((node as Tree).properties) yield node as Tree;
  for (const each of Object.values(node)) yield* objectsOf(each);
}

describe('the schema of the values', () => {
  it('knows every value', () => {
    const paths = leaves(values);
    expect(paths.length).toBeGreaterThan(60);
    for (const path of paths) expect(schemaAt(path), path).toBeDefined();
  });

  it('refuses unknown names everywhere', () => {
    const objects = [...objectsOf(schema)];
    expect(objects.length).toBeGreaterThan(20);
    for (const object of objects) expect(object.additionalProperties).toBe(false);
  });

  it('lists only values of the chart', () => {
    const known = (tree: Tree, node: Tree, at: string): void => {
      for (const [key, property] of Object.entries((node.properties ?? {}) as Tree)) {
        if (at === '' && key === 'global') continue;
        expect(Object.keys(tree), `${at}${key}`).toContain(key);
        known(tree[key] as Tree, property as Tree, `${at}${key}.`);
      }
    };
    known(values, schema, '');
  });

  it.each<[string, object, RegExp]>([
    ['a misspelt name', { operatr: {} }, /additional properties 'operatr' not allowed/],
    ['a misspelt inner name', { nats: { memory: '4Gi' } }, /'\/nats': additional .*'memory'/],
    ['a number as text', { operator: { replicas: 'two' } }, /'\/operator\/replicas': got string/],
    ['a size without its unit', { nats: { maxPayload: '1 MB' } }, /'\/nats\/maxPayload': '1 MB'/],
    ['an unknown level', { operator: { logLevel: 'loud' } }, /must be one of 'trace', 'debug'/],
    ['a namespace with capitals', { operator: { watchNamespaces: ['A'] } }, /watchNamespaces\/0/],
    ['a URL of another kind', { nats: { external: { url: 'http://x' } } }, /external\/url'/],
    ['credentials in the URL', { nats: { external: { url: 'nats://a:b@c' } } }, /external\/url'/],
    ['a short digest', { trainer: { image: { digest: 'sha256:12' } } }, /trainer\/image\/digest/],
  ])('refuses %s and says where', async (_, wrong, message) => {
    await expect(manifest(wrong)).rejects.toThrow(message);
  });

  it('accepts a pod without limits', async () => {
    expect(await manifest({ nats: { resources: { limits: null } } })).not.toContain('GOMEMLIMIT');
  });

  it('accepts the values that Helm adds for a dependency of another chart', async () => {
    expect(await manifest({ global: { anything: 1 } })).toContain('kind: Deployment');
  });
});

describe('contradictory values', () => {
  it.each<[string, object, RegExp]>([
    [
      'more memory for streams than the pod has',
      { nats: { memoryStore: { size: '6Gi' } } },
      /limits.memory is 6Gi: at least 1.25 times nats.memoryStore.size \(6Gi\)/,
    ],
    [
      'TLS of the built-in NATS with an external one',
      { tls: { enabled: true }, nats: { external: { url: 'nats://x' } } },
      /tls.enabled is about the built-in NATS/,
    ],
    [
      'metrics on the port of the probes',
      { operator: { metricsPort: 8081 } },
      /metricsPort is 8081, where the operator answers probes/,
    ],
  ])('are refused: %s', async (_, wrong, message) => {
    await expect(manifest(wrong)).rejects.toThrow(message);
  });
});

/** Templates of all pods that the chart starts, with the names of their components. */
const podTemplates = (objects: readonly Rendered[]) =>
  objects.flatMap((object) => {
    const template = object.kind === 'Pod' ? object : object.spec?.template;
    if (template?.spec?.containers === undefined) return [];
    return [{ component: template.metadata.labels['app.kubernetes.io/component'], template }];
  });

describe('every pod of the chart', () => {
  const COMPONENTS = ['operator', 'nats', 'nats-auth', 'install-check'].toSorted();
  const pods = async (...values: Values[]) => {
    const found = podTemplates(await render(...values));
    expect(found.map(({ component }) => component).toSorted()).toEqual(COMPONENTS);
    return found;
  };

  it('takes resources from the values', async () => {
    const resources = (cpu: string) => ({
      limits: { cpu, memory: '8Gi', 'ephemeral-storage': '1Gi' },
    });
    const all = ['operator', 'nats', 'hooks'];
    const values = Object.fromEntries(all.map((name) => [name, { resources: resources('3') }]));
    for (const { component, template } of await pods(values)) {
      expect(template.spec.containers[0].resources.limits, component).toEqual(
        resources('3').limits,
      );
    }
  });

  it('takes labels, annotations and pull secrets from the values', async () => {
    const parts = { podLabels: { team: 'vision' }, podAnnotations: { inject: 'false' } };
    const values = {
      commonLabels: { cost: 'centre-7', 'app.kubernetes.io/component': 'mine' },
      imagePullSecrets: ['registry'],
      ...{ operator: parts, nats: parts, hooks: parts },
    };
    for (const { component, template } of await pods(values)) {
      const { labels, annotations } = template.metadata;
      expect(labels, component).toMatchObject({ team: 'vision', cost: 'centre-7' });
      expect(annotations, component).toMatchObject({ inject: 'false' });
      expect(template.spec.imagePullSecrets, component).toEqual([{ name: 'registry' }]);
    }
  });

  it('names no user or group on OpenShift', async () => {
    for (const { component, template } of await pods('openshift')) {
      expect(JSON.stringify(template), component).not.toMatch(/runAsUser|runAsGroup|fsGroup/);
    }
  });

  it('takes security contexts from the values', async () => {
    const parts = {
      podSecurityContext: { runAsUser: 1234 },
      containerSecurityContext: { runAsUser: 5678, readOnlyRootFilesystem: null },
    };
    for (const { component, template } of await pods({ operator: parts, nats: parts })) {
      expect(template.spec.securityContext.runAsUser, component).toBe(1234);
      expect(template.spec.containers[0].securityContext, component).toEqual({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        runAsUser: 5678,
      });
    }
  });
});

it('labels of all objects come from the values and never replace a label of the chart', async () => {
  const objects = await render({ commonLabels: { cost: '7', 'app.kubernetes.io/name': 'mine' } });
  for (const { kind, metadata } of objects) {
    expect(metadata.labels, kind).toMatchObject({
      cost: '7',
      'app.kubernetes.io/name': 'greedy-infomax',
    });
  }
});

describe.each(['default', ...combinations])('the values %s', (name) => {
  it('pass helm lint', async () => {
    const args = name === 'default' ? [] : [`--values=${join(CHART, 'ci', `${name}.yaml`)}`];
    const { stdout } = await run(await helmBinary(), ['lint', '--strict', CHART, ...args]);
    expect(stdout).toContain('0 chart(s) failed');
    expect(stdout).not.toMatch(/WARNING|ERROR/);
  });

  it('give every object its own name, a namespace and the common labels', async () => {
    const objects = await render(...(name === 'default' ? [] : [name]));
    const keys = objects.map(
      ({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`,
    );
    expect(new Set(keys).size).toBe(keys.length);
    for (const { kind, metadata } of objects) {
      const global = /^(Cluster|CustomResource|ValidatingAdmissionPolicy)/.test(kind);
      expect(metadata.namespace !== undefined, `${kind} ${metadata.name}`).toBe(!global);
      expect(metadata.labels, `${kind} ${metadata.name}`).toMatchObject({
        'app.kubernetes.io/name': 'greedy-infomax',
        'app.kubernetes.io/instance': 'greedy-infomax',
        'app.kubernetes.io/managed-by': 'Helm',
      });
    }
  });

  it('create pods that the pod security standard "restricted" admits', async () => {
    const objects = await render(...(name === 'default' ? [] : [name]));
    const pods = podTemplates(objects);
    expect(pods.length).toBeGreaterThanOrEqual(2);
    for (const { template } of pods) {
      const pod = template.spec;
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        // A ResourceQuota that counts all four requires them.
        for (const side of ['requests', 'limits']) {
          expect(Object.keys(container.resources[side])).toEqual(['cpu', 'memory']);
        }
      }
    }
  });
});
