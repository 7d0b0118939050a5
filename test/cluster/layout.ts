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
  node?: NodeLayout;
}

export interface NodeLayout {
  /** Folder of containerd, runc and the CNI plugins. */
  tools: string;
  /** Folder of the images that the node starts with. */
  images: string;
  /** Number that is free on this machine: names and addresses derive from it. */
  number: number;
  /** Name of this cluster's cgroup in every hierarchy. */
  cgroup: string;
}

export const NODE_NAME = 'node0';
export const SERVICE_RANGE = '10.96.0.0/16';

// 198.18.0.0/15 is set apart for tests by RFC 2544: no real network uses it.
export const hostAddress = (number: number): string => `198.18.${number}.1`;
export const nodeAddress = (number: number): string => `198.18.${number}.2`;
export const podRange = (number: number): string => `198.19.${number}.0/24`;
/** This machine's end of the cable to the node. */
export const hostLink = (number: number): string => `gim-test${number}`;
