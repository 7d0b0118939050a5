import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from './layout.ts';

/**
 * Credentials for the API server. Every client has a bearer token; RBAC grants the rights.
 * Certificates exist only where Kubernetes requires them: for serving, and for the API server at
 * the kubelet.
 */
const USERS: [who: string, user: string, group: string][] = [
  ['admin', 'admin', 'system:masters'],
  ['kube-controller-manager', 'system:kube-controller-manager', ''],
  ['kube-scheduler', 'system:kube-scheduler', ''],
  ['kube-proxy', 'system:kube-proxy', ''],
];

export const kubeletUser = (node: string): string => `kubelet-${node}`;

export const kubeconfigPath = (folder: string, who: string): string =>
  join(folder, `${who}.kubeconfig`);

/** Writes tokens.csv and a self-contained kubeconfig for every user. */
export function writeCredentials(layout: Layout): void {
  const authority = readFileSync(join(layout.folder, 'ca.crt')).toString('base64');
  const server = `https://${layout.apiAddress}:${layout.apiPort}`;
  const tokens: string[] = [];
  const kubelets = layout.nodes.map(({ name }) => [
    kubeletUser(name),
    `system:node:${name}`,
    'system:nodes',
  ]);
  for (const [who = '', user = '', group = ''] of [...USERS, ...kubelets]) {
    const token = randomBytes(16).toString('hex');
    tokens.push(`${token},${user},${who},"${group}"`);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: who } }],
      clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': authority } }],
      users: [{ name: who, user: { token } }],
    };
    writeFileSync(kubeconfigPath(layout.folder, who), JSON.stringify(config), { mode: 0o600 });
  }
  writeFileSync(join(layout.folder, 'tokens.csv'), `${tokens.join('\n')}\n`, { mode: 0o600 });
}
