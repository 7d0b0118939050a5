import { jetstreamManager } from '@nats-io/jetstream';
import {
  CONFIG_MAPS,
  JOBS,
  type KubeObject,
  MODULES,
  PODS,
  RUNS,
} from '../../operator/src/kube/resource.ts';
import { NAMESPACE, type Scene } from './scene.ts';

/**
 * Lists the objects of all runs on Kubernetes and on NATS, one line of JSON each, without fields
 * that differ between two lives of the same run: uids, hashes of uids, times.
 */
export async function snapshot(scene: Scene): Promise<string[]> {
  const runs = (await scene.client.list(RUNS, NAMESPACE)).items;
  const modules = await scene.list(MODULES);
  const jobs = await scene.list(JOBS);
  const configMaps = await scene.list(CONFIG_MAPS);
  const pods = await scene.list(PODS);
  const names = new Map(
    [...runs, ...modules, ...jobs].map(({ metadata: { name, uid = '' } }) => [uid, name]),
  );
  const lines = [
    ...runs.map((run) => ({ is: 'run', ...portrait(run), status: run.status })),
    ...modules.map((module) => ({ is: 'module', ...portrait(module), status: module.status })),
    ...jobs.map((job) => ({ is: 'job', ...portrait(job) })),
    ...configMaps.map((map) => ({ is: 'configMap', ...portrait(map) })),
    ...pods.map(({ metadata }) => ({
      is: 'pod',
      of: metadata.ownerReferences?.map(({ name }) => name),
      index: metadata.annotations?.['batch.kubernetes.io/job-completion-index'],
    })),
    ...(await streams(scene)),
  ];
  return lines.map((line) => anonymous(JSON.stringify(line), names)).toSorted();
}

/** Fields of an object that the operator writes; the status of a Job belongs to its controller. */
const portrait = ({
  metadata: { name, labels, annotations, finalizers, ownerReferences },
  ...rest
}: KubeObject & { spec?: unknown; data?: unknown }) => ({
  name,
  labels,
  annotations,
  finalizers,
  owners: ownerReferences,
  spec: rest.spec,
  data: rest.data,
});

async function streams({ connection }: Scene): Promise<{ is: string; config: unknown }[]> {
  const manager = await jetstreamManager(connection);
  const found = [];
  for await (const { config } of manager.streams.list()) {
    found.push({ is: 'stream', config });
    for await (const consumer of manager.consumers.list(config.name)) {
      found.push({ is: 'consumer', config: consumer.config });
    }
  }
  return found;
}

/** `names`: names of objects by uid. */
function anonymous(text: string, names: ReadonlyMap<string, string>): string {
  return text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (uid) => `UID of ${names.get(uid)}`)
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+Z/g, 'TIME')
    .replace(/(?<=-(first|second)-)[0-9a-f]{10}\b/g, 'HASH')
    .replace(/(?<="greedyinfomax.dev\/(applied|template-hash)":")[0-9a-f]+/g, 'HASH');
}
