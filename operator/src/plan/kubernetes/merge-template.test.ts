import type { ModulePodTemplate } from '@greedy-infomax/crds';
import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeTemplate } from './merge-template.ts';

const BASE: V1PodTemplateSpec = {
  metadata: { labels: { run: 'small' } },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 1 },
    tolerations: [{ key: 'old' }],
    containers: [
      {
        name: 'trainer',
        image: 'trainer:1',
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ],
        volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
      },
    ],
    volumes: [{ name: 'tmp', emptyDir: {} }],
  },
};

const merged = (spec: ModulePodTemplate['spec'], base = BASE) => mergeTemplate(base, { spec }).spec;

describe('a strategic merge', () => {
  test('keeps the base where the template says nothing', () => {
    expect(mergeTemplate(BASE, {})).toEqual(BASE);
    expect(merged({ schedulerName: 'packer' })).toEqual({ ...BASE.spec, schedulerName: 'packer' });
  });

  test('merges maps field by field, and null removes a field', () => {
    const securityContext = { runAsUser: null, fsGroup: 7 };
    expect(merged({ securityContext })?.securityContext).toEqual({
      runAsNonRoot: true,
      fsGroup: 7,
    });
    expect(mergeTemplate(BASE, { metadata: { labels: { team: 'x' } } }).metadata).toEqual({
      labels: { run: 'small', team: 'x' },
    });
  });

  test('merges containers by name, the base first', () => {
    const [trainer, sidecar] =
      merged({
        containers: [
          { name: 'proxy', image: 'proxy:1' },
          { name: 'trainer', image: 'mine:2' },
        ],
      })?.containers ?? [];
    expect(trainer).toEqual({ ...BASE.spec?.containers[0], image: 'mine:2' });
    expect(sidecar).toEqual({ name: 'proxy', image: 'proxy:1' });
  });

  test('replaces variables, mounts and volumes of the same key as a whole, in their place', () => {
    const valueFrom = { secretKeyRef: { name: 's', key: 'k' } };
    const spec = merged({
      containers: [
        {
          name: 'trainer',
          env: [
            { name: 'C', value: '3' },
            { name: 'A', valueFrom },
          ],
          volumeMounts: [{ name: 'data', mountPath: '/tmp' }],
        },
      ],
      volumes: [{ name: 'tmp', persistentVolumeClaim: { claimName: 'c' } }],
    });
    const [trainer] = spec?.containers ?? [];
    expect(trainer?.env).toEqual([
      { name: 'A', valueFrom },
      { name: 'B', value: '2' },
      { name: 'C', value: '3' },
    ]);
    expect(trainer?.volumeMounts).toEqual([{ name: 'data', mountPath: '/tmp' }]);
    expect(spec?.volumes).toEqual([{ name: 'tmp', persistentVolumeClaim: { claimName: 'c' } }]);
  });

  test('replaces lists without a merge key', () => {
    expect(merged({ tolerations: [{ key: 'new' }] })?.tolerations).toEqual([{ key: 'new' }]);
  });

  test('merging any template twice equals merging it once', () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const item = fc.record(
      { name: fc.constantFrom('trainer', 'tmp', 'x'), env: value, volumeMounts: value, x: value },
      { requiredKeys: ['name'] },
    );
    const spec = fc.dictionary(
      fc.constantFrom('containers', 'volumes', 'securityContext', 'x'),
      fc.oneof(fc.string(), fc.array(item, { maxLength: 3 }), fc.object({ maxDepth: 2 })),
    );
    fc.assert(
      fc.property(spec, (any) => {
        const template = { spec: any as ModulePodTemplate['spec'] };
        const once = mergeTemplate(BASE, template);
        expect(mergeTemplate(once, template)).toEqual(once);
      }),
      { seed: 29 },
    );
  });
});
