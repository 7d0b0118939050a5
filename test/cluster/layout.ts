import { join } from 'node:path';

/** Paths and addresses of one test cluster. */

export interface Layout {
  /** State of this cluster: certificates, etcd's data, logs; removed at its end. */
  folder: string;
  /** Folder of etcd, kube-apiserver, kubectl and other binaries. */
  binaries: string;
  /** Address that the API server listens on, reachable from this machine. */
  apiAddress: string;
  apiPort: number;
  etcdPort: number;
  nodes: NodeLayout[];
}

export interface NodeLayout {
  name: string;
  /** Index of the node; 0 also holds the control plane. */
  index: number;
  /** State and logs of this node; for node 0 the folder of the cluster. */
  folder: string;
  clusterFolder: string;
  binaries: string;
  /** Folder of containerd, runc and the CNI plugins. */
  tools: string;
  /** Folder of the programs of tools/. */
  programs: string;
  /** Folder of the images that are loaded at the start. */
  images: string;
  /** Number unique on this machine; names and addresses of the cluster derive from it. */
  number: number;
  address: string;
  /** Addresses of its pods, at most 62. */
  pods: string;
  /** Name of this node's cgroup in every hierarchy. */
  cgroup: string;
}

export const MOST_NODES = 4;
export const SERVICE_RANGE = '10.96.0.0/16';

export const nodeLayout = (
  index: number,
  cluster: Omit<NodeLayout, 'name' | 'index' | 'folder' | 'address' | 'pods'>,
): NodeLayout => ({
  ...cluster,
  name: `node${index}`,
  index,
  folder: index === 0 ? cluster.clusterFolder : join(cluster.clusterFolder, `node${index}`),
  cgroup: index === 0 ? cluster.cgroup : `${cluster.cgroup}-node${index}`,
  address: index === 0 ? nodeAddress(cluster.number) : cableAddresses(cluster.number, index).node,
  pods: `198.19.${cluster.number}.${64 * index}/26`,
});

// RFC 2544 reserves 198.18.0.0/15 for tests: no real network uses it.
export const hostAddress = (number: number): string => `198.18.${number}.1`;
export const nodeAddress = (number: number): string => `198.18.${number}.2`;
/** Addresses of the other nodes and of node 0's ends of their links. */
export const cableRange = (number: number): string => `198.18.${number}.128/25`;
/** Both ends of the link from node 0 to another node, a /30 network. */
export const cableAddresses = (number: number, index: number): { node0: string; node: string } => ({
  node0: `198.18.${number}.${128 + 4 * index + 1}`,
  node: `198.18.${number}.${128 + 4 * index + 2}`,
});
/** Addresses of the pods of all nodes. */
export const podRange = (number: number): string => `198.19.${number}.0/24`;
/** This machine's end of the link to node 0. */
export const hostLink = (number: number): string => `gim-test${number}`;
