import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { startNats, type TestNats } from '../support/nats.ts';
import { type OperatorProcess, startOperator } from '../support/operator.ts';
import { find, NAMESPACE, type Rendered, render, type Values } from './render.ts';

/**
 * Runs programs as the chart starts them, with its arguments and only the rights of its service
 * accounts, against a real API server and a NATS server with the chart's configuration. They run as
 * local processes, so files and addresses are replaced by local ones.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const OPERATOR = 'greedy-infomax-operator';
const run = promisify(execFile);

let cluster: Cluster;
let folder: string;
let nats: TestNats;
const operators: OperatorProcess[] = [];
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
const inNamespace = `--namespace=${NAMESPACE}`;

const eventually = (what: () => Promise<unknown>) =>
  expect.poll(() => what().catch((error: Error) => error.message), {
    timeout: 120_000,
    interval: 200,
  });

const applyAll = (objects: Rendered[]) =>
  cluster.apply(objects.map((object) => `---\n${stringify(object)}`).join(''));

/** Objects of the chart that grant rights. */
const rightsOf = async (...values: Values[]) =>
  (await render(...values)).filter(({ kind }) => /^ServiceAccount$|Role(Binding)?$/.test(kind));

/** A kubeconfig file for a service account of the chart. */
async function kubeconfigOf(account: string): Promise<string> {
  const token = await kubectl('create', 'token', account, inNamespace);
  const config = JSON.parse(readFileSync(cluster.kubeconfig, 'utf8'));
  config.users[0].user = { token };
  const file = join(folder, `${account}.kubeconfig`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

/** Command of the chart's container, translated to this machine. */
async function commandOf(container: Rendered, account: string): Promise<[string, string[]]> {
  const args = container.args.map((arg: string) =>
    arg
      .replace('/etc/greedy-infomax/nats', folder)
      .replace('nats://greedy-infomax-nats.gim.svc:4222', nats?.url ?? ''),
  );
  const [, ...rest] = container.command as string[];
  return [process.execPath, [...rest, ...args, `--kubeconfig=${await kubeconfigOf(account)}`]];
}

const can = (account: string, ...args: string[]) =>
  kubectl('auth', 'can-i', ...args, `--as=system:serviceaccount:${NAMESPACE}:${account}`, '--quiet')
    .then(() => true)
    .catch(() => false);

async function operatorOf(...values: Values[]): Promise<OperatorProcess> {
  const [container] = find(await render(...values), 'Deployment', OPERATOR).spec.template.spec
    .containers;
  const [, args] = await commandOf(container, OPERATOR);
  const own = args.filter((arg) => /^--(nats-|namespaces|lease-namespace|concurrency)/.test(arg));
  const started = await startOperator({
    kubeconfig: join(folder, `${OPERATOR}.kubeconfig`),
    natsUrl: nats.url,
    flags: own,
  });
  operators.push(started);
  return started;
}

const digits = (name: string) =>
  readFileSync(join(ROOT, 'examples/digits.yaml'), 'utf8').replace(
    'name: digits #',
    `name: ${name} #`,
  );

const namesOf = async (kind: string, namespace: string, of: string) =>
  (
    await kubectl(
      'get',
      kind,
      `--namespace=${namespace}`,
      `-l=greedyinfomax.dev/run=${of}`,
      '-o=name',
    )
  )
    .split('\n')
    .filter((line) => line !== '');

beforeAll(async () => {
  cluster = await startCluster({ nodes: 0 });
  folder = mkdtempSync(join(tmpdir(), 'gim-chart-rights-'));
  for (const name of [NAMESPACE, 'team-a', 'team-b']) await kubectl('create', 'namespace', name);
  await applyAll((await render()).filter(({ kind }) => kind === 'CustomResourceDefinition'));
  await cluster.crdsEstablished();
  await applyAll(await rightsOf());
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  for (const operator of operators) await operator.stop();
  await nats?.stop();
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the hook', () => {
  const hook = async () => {
    const job = find(await render(), 'Job', /^greedy-infomax-nats-keys-/);
    const { containers, serviceAccountName } = job.spec.template.spec;
    const [program, args] = await commandOf(containers[0], serviceAccountName);
    return (await run(program, args, { cwd: ROOT })).stdout;
  };
  const secret = async () =>
    JSON.parse(await kubectl('get', 'secret', 'greedy-infomax-nats-keys', inNamespace, '-o=json'));

  it('creates the Secret once, with its limited rights', async () => {
    await hook();
    const first = await secret();
    await hook();
    expect((await secret()).metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    expect(Object.keys(first.data).toSorted()).toEqual([
      'auth.conf',
      'operator.seed',
      'system.creds',
    ]);
  });

  it('creates keys that the chart’s NATS starts with and that exclude clients without credentials', async () => {
    for (const [name, data] of Object.entries((await secret()).data as Record<string, string>)) {
      writeFileSync(join(folder, name), Buffer.from(data, 'base64'), { mode: 0o600 });
    }
    const map = find(await render(), 'ConfigMap', 'greedy-infomax-nats');
    const config = join(folder, 'nats-server.conf');
    // The helper chooses a folder.
    const text = (map.data['nats-server.conf'] as string)
      .replace(/store_dir: .*/, '')
      .replace('/data/accounts', join(folder, 'accounts'));
    writeFileSync(config, text);
    nats = await startNats('127.0.0.1', { config });
    await expect(connect({ servers: nats.url, reconnect: false })).rejects.toThrow(/auth/i);
  });
});

describe('the operator', () => {
  it('can do everything for a run, from its Jobs to its end', async () => {
    const operator = await operatorOf();
    await cluster.apply(digits('first'));
    await eventually(() => namesOf('jobs', 'default', 'first')).toHaveLength(3);
    await eventually(() => namesOf('configmaps', 'default', 'first')).toHaveLength(3);
    await eventually(() => namesOf('secrets', 'default', 'first')).toHaveLength(1);
    await eventually(() => namesOf('gimmod', 'default', 'first')).toHaveLength(3);
    await eventually(() => kubectl('get', 'gimrun', 'first', '-o=jsonpath={.status.phase}')).toBe(
      'Pending',
    );
    await kubectl('patch', 'gimrun', 'first', '--type=merge', '--patch={"spec":{"suspend":true}}');
    await eventually(() => kubectl('get', 'gimrun', 'first', '-o=jsonpath={.status.phase}')).toBe(
      'Suspended',
    );
    await eventually(() => kubectl('get', 'events.events.k8s.io', '-o=name')).toContain('first');
    await kubectl('delete', 'gimrun', 'first', '--timeout=30s');
    await eventually(() => namesOf('jobs', 'default', 'first')).toEqual([]);
    expect(operator.output()).not.toMatch(/forbidden|Authorization Violation/i);
  });

  it.each<string[][]>([
    [['get', 'secrets']],
    [['list', 'secrets', '--all-namespaces']],
    [['delete', 'secrets']],
    [['list', 'nodes']],
    [['delete', 'nodes']],
    [['create', 'pods']],
    [['delete', 'pods']],
    [['create', 'pods', '--subresource=exec']],
    [['create', 'deployments.apps']],
    [['patch', 'customresourcedefinitions.apiextensions.k8s.io']],
    [['create', 'clusterroles.rbac.authorization.k8s.io']],
    [['create', 'greedyinfomaxruns.greedyinfomax.dev']],
    [['update', 'greedyinfomaxruns.greedyinfomax.dev']],
    [['impersonate', 'serviceaccounts']],
  ])('can not %j', async (what) => {
    expect(await can(OPERATOR, ...what)).toBe(false);
  });

  it.each(['create', 'patch'])('can %s secrets, to renew the credentials of runs', async (verb) => {
    expect(await can(OPERATOR, verb, 'secrets', '--namespace=team-a')).toBe(true);
  });

  it.each(['greedyinfomaxruns', 'greedyinfomaxmodules', 'jobs', 'configmaps'])(
    'can get one of %s: when a name is taken, it looks up the owner',
    async (what) => {
      expect(await can(OPERATOR, 'get', what, '--namespace=team-a')).toBe(true);
    },
  );

  it('can delete a run whose ttlSecondsAfterFinished has passed', async () => {
    const what = ['delete', 'greedyinfomaxruns.greedyinfomax.dev', '--namespace=team-a'];
    expect(await can(OPERATOR, ...what)).toBe(true);
  });

  it('renews only its own lease', async () => {
    expect(await can(OPERATOR, 'update', 'leases/greedy-infomax-operator', inNamespace)).toBe(true);
    expect(await can(OPERATOR, 'update', 'leases/other', inNamespace)).toBe(false);
    expect(await can(OPERATOR, 'create', 'leases', '--namespace=kube-system')).toBe(false);
  });

  it('works with roles in single namespaces, for these namespaces', async () => {
    await operators.pop()?.stop();
    await kubectl('delete', 'clusterrolebinding', OPERATOR);
    await applyAll(await rightsOf('namespaced'));
    expect(await can(OPERATOR, 'list', 'jobs.batch', '--namespace=default')).toBe(false);
    const operator = await operatorOf('namespaced');
    for (const namespace of ['default', 'team-b']) {
      await cluster.apply(
        digits('second').replace('metadata:', `metadata:\n  namespace: ${namespace}`),
      );
    }
    await eventually(() => namesOf('jobs', 'team-b', 'second')).toHaveLength(3);
    expect(await namesOf('jobs', 'default', 'second')).toEqual([]);
    const run = await kubectl('get', 'gimrun', 'second', '-o=jsonpath={.metadata.finalizers}');
    expect(run).toBe('');
    expect(operator.output()).not.toMatch(/forbidden/i);
  });
});

describe('helm test', () => {
  const NAME = 'greedy-infomax-install-check';
  const check = async () => {
    const pod = find(await render(), 'Pod', /-install-check-/).spec;
    const [program, args] = await commandOf(pod.containers[0], pod.serviceAccountName);
    const all = [...args, '--within-seconds=5'];
    return run(program, all, { cwd: ROOT }).then(
      ({ stdout }) => ({ failed: false, stdout }),
      ({ stdout }: { stdout: string }) => ({ failed: true, stdout }),
    );
  };

  it('fails and reports what is missing while no operator is ready', async () => {
    await applyAll((await render()).filter(({ kind }) => kind === 'Deployment'));
    const { failed, stdout } = await check();
    expect(failed).toBe(true);
    expect(stdout).toMatch(/^ok {6}API: the API server serves greedyinfomaxmodules and greedy/m);
    expect(stdout).toMatch(/^FAILED {2}operator: Deployment gim\/.* has 0 of 1 operators ready/m);
    expect(stdout).toMatch(/^ok {6}NATS: JetStream/m);
  });

  it('succeeds once an operator is ready', async () => {
    const labels = '-l=app.kubernetes.io/component=operator';
    // There is no kubelet to report readiness.
    const pod = await kubectl('get', 'pods', inNamespace, labels, '-o=name');
    const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' };
    const patch = JSON.stringify({ status: { phase: 'Running', conditions: [ready] } });
    await kubectl('patch', pod, inNamespace, '--subresource=status', `--patch=${patch}`);
    const { failed, stdout } = await check();
    expect(stdout).toMatch(/^ok {6}operator: 1 of 1 operators are ready/m);
    expect(failed).toBe(false);
  });

  it('can read nothing but the Deployment that it checks', async () => {
    expect(await can(NAME, 'get', `deployments.apps/${OPERATOR}`, inNamespace)).toBe(true);
    expect(await can(NAME, 'list', 'deployments.apps', inNamespace)).toBe(false);
    expect(await can(NAME, 'get', 'secrets', inNamespace)).toBe(false);
  });
});
