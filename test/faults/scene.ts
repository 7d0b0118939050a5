import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { parse } from 'yaml';
import { Client } from '../../operator/src/kube/client.ts';
import { loadKubeConfig } from '../../operator/src/kube/kube-config.ts';
import {
  CONFIG_MAPS,
  JOBS,
  type JobObject,
  type KubeObject,
  LEASES,
  MODULES,
  PODS,
  pathOf,
  type Resource,
  RUNS,
  type RunObject,
  SECRETS,
} from '../../operator/src/kube/resource.ts';
import { connectionOptions } from '../../operator/src/nats/connection.ts';
import { startClosedNats } from '../nats-auth/closed-nats.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { startNats, type TestNats } from '../support/nats.ts';
import { type OperatorProcess, startOperator } from '../support/operator.ts';

/**
 * A control plane without nodes, a NATS server, and operators that connect to the API server
 * through a proxy.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const DIGITS = parse(readFileSync(join(ROOT, 'examples/digits.yaml'), 'utf8'));
export const CRDS = ['greedyinfomaxmodules', 'greedyinfomaxruns'].map((name) =>
  join(ROOT, 'crds', `${name}.yaml`),
);
export const NAMESPACE = 'default';

export interface Scene {
  cluster: Cluster;
  nats: TestNats;
  connection: NatsConnection;
  proxy: FaultProxy;
  /** Runs kubectl, bypassing the proxy. */
  client: Client;
  kubectl(...args: string[]): Promise<string>;
  /** Creates the run, bypassing the proxy. */
  create(run: RunObject): Promise<RunObject>;
  /** Deletes without waiting, like `kubectl delete --wait=false`. */
  deleteRun(name: string): Promise<void>;
  run(name: string): Promise<RunObject | undefined>;
  /** Returns all objects of a kind that belong to one run, or to any run. */
  list<T extends KubeObject>(resource: Resource<T>, run?: string): Promise<T[]>;
  /** Returns `Kind/name` of all remaining objects of one run, or of any run. */
  left(run?: string): Promise<string[]>;
  streams(): Promise<string[]>;
  /** Starts an operator, which the scene stops at its end. */
  operator(): Promise<OperatorProcess>;
  /** Returns the holder of the leader lease. */
  leader(): Promise<string>;
  /** Time of the last lease renewal, in milliseconds since the epoch. */
  renewedAt(): Promise<number>;
  /** Releases the lease of a killed operator at once. */
  freeLease(): Promise<void>;
  close(): Promise<void>;
}

/** `closedNats`: the NATS server requires credentials, so that runs have Secrets. */
export async function openScene({ closedNats = false } = {}): Promise<Scene> {
  const cluster = await startCluster({ nodes: 0 });
  const closed = closedNats ? await startClosedNats() : undefined;
  const nats = closed?.nats ?? (await startNats());
  const connection = closed
    ? await closed.insider(NAMESPACE)
    : await connect({ ...connectionOptions({ url: nats.url }), reconnectTimeWait: 100 });
  const flags = closed && [
    `--nats-creds=${closed.systemCreds}`,
    `--nats-operator-key=${closed.operatorSeed}`,
  ];
  const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
  await kubectl('apply', ...CRDS.map((file) => `--filename=${file}`));
  await cluster.crdsEstablished();
  const proxy = await startFaultProxy(cluster);
  const client = new Client(loadKubeConfig(cluster.kubeconfig));
  const operators: OperatorProcess[] = [];
  const list: Scene['list'] = async (resource, run) => {
    const labelSelector = run === undefined ? LABEL : `${LABEL}=${run}`;
    return (await client.list(resource, NAMESPACE, { query: { labelSelector } })).items;
  };
  const lease = () => client.get(LEASES, NAMESPACE, 'greedy-infomax-operator');
  return {
    cluster,
    nats,
    connection,
    proxy,
    client,
    kubectl,
    create: (run) => client.create(RUNS, run),
    async deleteRun(name) {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' };
      await client.call('DELETE', pathOf(RUNS, NAMESPACE, name), { body });
    },
    run: (name) => client.get(RUNS, NAMESPACE, name),
    list,
    async left(run) {
      const kinds = [MODULES, JOBS, CONFIG_MAPS, SECRETS, PODS] as Resource[];
      const found = await Promise.all(
        kinds.map(async (kind) =>
          (await list(kind, run)).map(({ metadata }) => `${kind.kind}/${metadata.name}`),
        ),
      );
      return found.flat();
    },
    async streams() {
      const names: string[] = [];
      for await (const name of (await jetstreamManager(connection)).streams.names()) {
        names.push(name);
      }
      return names.toSorted();
    },
    async operator() {
      const operator = await startOperator({
        kubeconfig: proxy.kubeconfig,
        natsUrl: nats.url,
        flags,
      });
      operators.push(operator);
      return operator;
    },
    leader: async () => (await lease())?.spec?.holderIdentity ?? '',
    renewedAt: async () => Date.parse((await lease())?.spec?.renewTime ?? ''),
    async freeLease() {
      const now = await lease();
      if (!now) return;
      const spec = { ...now.spec, holderIdentity: '' };
      await client.patch(LEASES, NAMESPACE, now.metadata.name, 'merge', { spec });
    },
    async close() {
      await Promise.all(operators.map((operator) => operator.kill()));
      await proxy.close();
      await client.close();
      await connection.close();
      await (closed ?? nats).stop();
      await cluster.stop();
    },
  };
}

const LABEL = 'greedyinfomax.dev/run';

/** A run on digits; each module is one small layer. */
export function aRun(name: string, modules = ['first', 'second'], spec: object = {}): RunObject {
  const layers = [{ type: 'conv', channels: 4 }];
  return {
    ...DIGITS,
    metadata: { name, namespace: NAMESPACE },
    spec: { ...DIGITS.spec, modules: modules.map((module) => ({ name: module, layers })), ...spec },
  };
}

/** Polls `look` until it returns a value; fails with the output of `operator` after `seconds`. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false | null>,
  { seconds = 240, operator }: { seconds?: number; operator?: OperatorProcess } = {},
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  let error: unknown;
  while (Date.now() < end) {
    try {
      const value = await look();
      if (value) return value;
      error = undefined;
    } catch (thrown) {
      error = thrown;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  const said = operator?.output().slice(-3000) ?? '';
  throw new Error(`timed out after ${seconds} s waiting for ${what}\n${said}`, { cause: error });
}

/** Reports whether the run has a condition of that type with status True. */
export const isTrue = (run: RunObject | undefined, type: string): boolean =>
  run?.status?.conditions?.some((each) => each.type === type && each.status === 'True') ?? false;

export const jobNames = (jobs: JobObject[]): string[] =>
  jobs.map(({ metadata }) => metadata.name).toSorted();
