import { expect, it } from 'vitest';
import { parseRunDefaults } from '../../operator/src/plan/kubernetes/run-defaults.ts';
import { find, ofKind, render, type Values } from './render.ts';

/**
 * Defaults for all runs that the chart passes to the operator, and the policy's data on authors.
 */

async function argsOf(...values: Values[]): Promise<string[]> {
  const deployment = find(await render(...values), 'Deployment', 'greedy-infomax-operator');
  return deployment.spec.template.spec.containers[0].args;
}

async function defaultsOf(...values: Values[]) {
  const flag = '--run-defaults=';
  const value = (await argsOf(...values)).find((arg) => arg.startsWith(flag)) ?? '';
  return parseRunDefaults(value.slice(flag.length), flag);
}

it('gives the operator defaults that it can read', async () => {
  expect(await defaultsOf()).toEqual({
    podSecurityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      fsGroup: 65532,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    cleanupResources: {
      requests: { cpu: '100m', memory: '64Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
    backoffLimit: 6,
  });
  const runs = {
    podTemplate: { spec: { imagePullSecrets: [{ name: 'registry' }], schedulerName: 'a\'b"c' } },
    resources: { limits: { cpu: 1 } },
    evaluationResources: { limits: { 'nvidia.com/gpu': 0 } },
    backoffLimit: 0,
  };
  expect(await defaultsOf({ runs })).toMatchObject(runs);
});

it('leaves users and groups to OpenShift', async () => {
  const { podSecurityContext } = await defaultsOf('openshift');
  expect(podSecurityContext).toEqual({
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  });
});

const HOST = '--allow-host-access';
const POLICY = 'ValidatingAdmissionPolicy';

it('leaves access to nodes to the policy, and denies it without a policy', async () => {
  expect(await argsOf()).toContain(HOST);
  expect(ofKind(await render(), POLICY)).toHaveLength(1);
  const open = { policy: { enabled: false } };
  expect(await argsOf(open)).not.toContain(HOST);
  expect(ofKind(await render(open), POLICY)).toEqual([]);
  const allowed = { policy: { enabled: false, allowed: { hostAccess: true } } };
  expect(await argsOf(allowed)).toContain(HOST);
});

it('limits the policy to the namespaces that the operator watches', async () => {
  const [binding] = ofKind(
    await render({ operator: { watchNamespaces: ['team-a'] } }),
    `${POLICY}Binding`,
  );
  expect(binding?.spec.matchResources.namespaceSelector.matchExpressions).toContainEqual({
    key: 'kubernetes.io/metadata.name',
    operator: 'In',
    values: ['team-a'],
  });
});

it('creates a policy that allows host access if told so', async () => {
  const expressions = async (...values: Values[]) =>
    JSON.stringify(ofKind(await render(...values), POLICY)[0]?.spec.validations);
  expect(await expressions()).toContain('hostPID');
  const allowed = await expressions({ policy: { allowed: { hostAccess: true } } });
  expect(allowed).not.toContain('hostPID');
  expect(allowed).toContain('hostPath');
});
