import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { USER_ID } from '../../operator/src/plan/kubernetes/names.ts';
import type { Cluster } from './cluster.ts';

/**
 * Creates a persistent volume from a folder of the test cluster, and a claim bound to it. All nodes
 * run on this machine, so they share the folder (ReadWriteMany). Kubernetes does not change owners
 * in a hostPath volume, so the folder belongs to the trainers' user from the start.
 */
export async function volumeClaim(
  cluster: Pick<Cluster, 'folder' | 'apply' | 'exec'>,
  namespace: string,
  name: string,
): Promise<string> {
  const folder = join(cluster.folder, 'volumes', namespace, name);
  mkdirSync(folder, { recursive: true });
  chownSync(folder, USER_ID, USER_ID);
  const storage = { storage: '10Gi' };
  const common = { accessModes: ['ReadWriteMany', 'ReadWriteOnce'], storageClassName: '' };
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `${namespace}-${name}` },
    spec: {
      ...common,
      capacity: storage,
      hostPath: { path: folder },
      claimRef: { namespace, name },
      persistentVolumeReclaimPolicy: 'Retain',
    },
  };
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace, name },
    spec: { ...common, resources: { requests: storage }, volumeName: volume.metadata.name },
  };
  await cluster.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [volume, claim] }));
  const bound = ['--for=jsonpath={.status.phase}=Bound', '--timeout=60s'];
  await cluster.exec('kubectl', 'wait', `--namespace=${namespace}`, `pvc/${name}`, ...bound);
  return folder;
}
