import { join } from 'node:path';
import { kubeconfigPath, kubeletUser } from './credentials.ts';
import { type Layout, type NodeLayout, nodeAddress, podRange, SERVICE_RANGE } from './layout.ts';

/** Command lines of every component of a cluster, program first. */

/** Components that a cluster has once; in a cluster with nodes they share the network of node 0. */
export type ControlPlanePart =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'dns';

export function commands(layout: Layout): Record<ControlPlanePart, string[]> {
  const { folder, binaries } = layout;
  const at = (name: string) => join(folder, name);
  const config = (who: string) => `--kubeconfig=${kubeconfigPath(folder, who)}`;
  const etcd = `http://127.0.0.1:${layout.etcdPort}`;
  return {
    etcd: [
      join(binaries, 'etcd'),
      `--data-dir=${at('etcd')}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      '--listen-peer-urls=http://127.0.0.1:0', // Any port: there are no peers.
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    'kube-apiserver': [
      join(binaries, 'kube-apiserver'),
      `--etcd-servers=${etcd}`,
      `--bind-address=${layout.apiAddress}`,
      // The advertised address must not be a loopback address; without a node it is not used.
      `--advertise-address=${layout.nodes.length > 0 ? layout.apiAddress : nodeAddress(0)}`,
      `--secure-port=${layout.apiPort}`,
      `--tls-cert-file=${at('apiserver.crt')}`,
      `--tls-private-key-file=${at('apiserver.key')}`,
      `--client-ca-file=${at('ca.crt')}`,
      `--cert-dir=${at('apiserver')}`,
      `--token-auth-file=${at('tokens.csv')}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${at('service-accounts.key')}`,
      `--service-account-signing-key-file=${at('service-accounts.key')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      `--service-cluster-ip-range=${SERVICE_RANGE}`,
      `--kubelet-client-certificate=${at('apiserver-kubelet.crt')}`,
      `--kubelet-client-key=${at('apiserver-kubelet.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      '--shutdown-delay-duration=0s',
    ],
    'kube-controller-manager': [
      join(binaries, 'kube-controller-manager'),
      config('kube-controller-manager'),
      '--secure-port=0',
      '--leader-elect=false',
      `--service-account-private-key-file=${at('service-accounts.key')}`,
      `--root-ca-file=${at('ca.crt')}`,
      '--use-service-account-credentials=true',
      // Detects a lost node after 20 seconds instead of 50, which keeps tests short.
      '--node-monitor-grace-period=20s',
      '--node-monitor-period=2s',
    ],
    'kube-scheduler': [
      join(binaries, 'kube-scheduler'),
      config('kube-scheduler'),
      '--secure-port=0',
      '--leader-elect=false',
    ],
    dns: [
      join(layout.nodes[0]?.programs ?? '', 'dns'),
      config('kube-proxy'), // Its rights include what the program dns reads.
      `--address=${layout.apiAddress}:53`,
    ],
  };
}

/** Components that run on each node. */
export const NODE_PARTS = ['containerd', 'kubelet', 'kube-proxy', 'gpus'] as const;
export type NodePart = (typeof NODE_PARTS)[number];

export type Component = ControlPlanePart | NodePart;

export const isNodePart = (component: Component): component is NodePart =>
  NODE_PARTS.some((part) => part === component);

export function nodeCommands(node: NodeLayout, gpus: number): Record<NodePart, string[]> {
  const { binaries, programs, name } = node;
  const at = (file: string) => join(node.folder, file);
  const config = (who: string) => `--kubeconfig=${kubeconfigPath(node.clusterFolder, who)}`;
  return {
    containerd: [join(node.tools, 'usr/bin/containerd'), `--config=${at('containerd.toml')}`],
    kubelet: [
      join(binaries, 'kubelet'),
      config(kubeletUser(name)),
      `--config=${at('kubelet.json')}`,
      `--root-dir=${at('kubelet')}`,
      `--cert-dir=${at('kubelet/pki')}`,
      `--hostname-override=${name}`,
      `--node-ip=${node.address}`,
      '-v=2',
    ],
    'kube-proxy': [
      join(binaries, 'kube-proxy'),
      config('kube-proxy'),
      '--proxy-mode=nftables',
      `--cluster-cidr=${podRange(node.number)}`,
      `--hostname-override=${name}`,
    ],
    gpus: [
      join(programs, 'gpus'),
      `--node=${name}`,
      `--count=${gpus}`,
      `--sick-folder=${at('sick-gpus')}`,
    ],
  };
}
