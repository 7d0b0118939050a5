import { join } from 'node:path';
import { kubeconfigPath } from './credentials.ts';
import { type Layout, NODE_NAME, nodeAddress, podRange, SERVICE_RANGE } from './layout.ts';

/** The command line of every part of a cluster, program first. */

export type Component =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'containerd'
  | 'kubelet'
  | 'kube-proxy';

export function commands(layout: Layout): Record<Component, string[]> {
  const { folder, binaries, node } = layout;
  const at = (name: string) => join(folder, name);
  const config = (who: string) => `--kubeconfig=${kubeconfigPath(folder, who)}`;
  const etcd = `http://127.0.0.1:${layout.etcdPort}`;
  const number = node?.number ?? 0;
  return {
    etcd: [
      join(binaries, 'etcd'),
      `--data-dir=${at('etcd')}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      '--listen-peer-urls=http://127.0.0.1:0', // a cluster of one has no peers: any port will do
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    'kube-apiserver': [
      join(binaries, 'kube-apiserver'),
      `--etcd-servers=${etcd}`,
      `--bind-address=${layout.apiAddress}`,
      // An advertised address must not be that of the loopback; without a node nobody asks for it.
      `--advertise-address=${node ? layout.apiAddress : nodeAddress(0)}`,
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
    ],
    'kube-scheduler': [
      join(binaries, 'kube-scheduler'),
      config('kube-scheduler'),
      '--secure-port=0',
      '--leader-elect=false',
    ],
    containerd: [
      join(node?.tools ?? '', 'usr/bin/containerd'),
      `--config=${at('containerd.toml')}`,
    ],
    kubelet: [
      join(binaries, 'kubelet'),
      config('kubelet'),
      `--config=${at('kubelet.json')}`,
      `--root-dir=${at('kubelet')}`,
      `--cert-dir=${at('kubelet/pki')}`,
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${nodeAddress(number)}`,
      '-v=2',
    ],
    'kube-proxy': [
      join(binaries, 'kube-proxy'),
      config('kube-proxy'),
      '--proxy-mode=nftables',
      `--cluster-cidr=${podRange(number)}`,
      `--hostname-override=${NODE_NAME}`,
    ],
  };
}
