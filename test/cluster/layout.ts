import { join } from 'node:path';

/** Where the parts of one test cluster live. */

export interface Layout {
  /** State of this cluster: certificates, etcd's data, logs; gone after it. */
  folder: string;
  /** Folder of etcd, kube-apiserver, kubectl and so on. */
  binaries: string;
  /** That the API server listens on, reachable from this machine. */
  apiAddress: string;
  apiPort: number;
  etcdPort: number;
  nodes: NodeLayout[];
}

export interface NodeLayout {
  name: string;
  /** 0: the node that also holds the control plane. */
  index: number;
  /** State and logs of this node; that of the cluster for node 0. */
  folder: string;
  clusterFolder: string;
  binaries: string;
  /** Folder of containerd, runc and the CNI plugins. */
  tools: string;
  /** Folder of the programs of tools/. */
  programs: string;
  /** Folder of the images that the node starts with. */
  images: string;
  /** Number that is free on this machine: names and addresses of the cluster derive from it. */
  number: number;
  address: string;
  /** Addresses of its pods, 62 at most. */
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

// 198.18.0.0/15 is set apart for tests by RFC 2544: no real network uses it.
export const hostAddress = (number: number): string => `198.18.${number}.1`;
export const nodeAddress = (number: number): string => `198.18.${number}.2`;
/** Addresses of the further nodes and of node 0's ends of their cables. */
export const cableRange = (number: number): string => `198.18.${number}.128/25`;
/** Both ends of the cable from node 0 to a further node, a /30 network. */
export const cableAddresses = (number: number, index: number): { node0: string; node: string } => ({
  node0: `198.18.${number}.${128 + 4 * index + 1}`,
  node: `198.18.${number}.${128 + 4 * index + 2}`,
});
/** Addresses of the pods of all nodes. */
export const podRange = (number: number): string => `198.19.${number}.0/24`;
/** This machine's end of the cable to node 0. */
export const hostLink = (number: number): string => `gim-test${number}`;
