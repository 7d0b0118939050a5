import { existsSync, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { type Access, type Credentials, DirectAccess } from './access.ts';
import { LibraryAccess } from './library-access.ts';

/** No API server is configured, or the given kubeconfig cannot be read. */
export class KubeConfigError extends Error {
  override readonly name = 'KubeConfigError';
}

/** Fields read from a kubeconfig; the library reads the rest. */
export interface KubeConfigFile {
  'current-context'?: string;
  contexts?: { name: string; context?: { cluster?: string; user?: string } }[];
  clusters?: { name: string; cluster?: ClusterEntry }[];
  users?: { name: string; user?: UserEntry }[];
}

interface ClusterEntry {
  server?: string;
  'certificate-authority'?: string;
  'certificate-authority-data'?: string;
  'insecure-skip-tls-verify'?: boolean;
  'tls-server-name'?: string;
  'proxy-url'?: string;
}

interface UserEntry {
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  as?: string;
  'client-certificate'?: string;
  'client-certificate-data'?: string;
  'client-key'?: string;
  'client-key-data'?: string;
  exec?: object;
  'auth-provider'?: object;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * Returns the access to the API server: from `file` if given (--kubeconfig), else KUBECONFIG, else the pod's
 * service account, else ~/.kube/config.
 * @throws KubeConfigError
 */
export function loadKubeConfig(file?: string, env: NodeJS.ProcessEnv = process.env): Access {
  const named = file ?? (env.KUBECONFIG || undefined);
  if (named === undefined && env.KUBERNETES_SERVICE_HOST) {
    if (existsSync(`${SERVICE_ACCOUNT}/token`)) return inCluster(env);
  }
  const path = named ?? join(env.HOME ?? homedir(), '.kube/config');
  const files = path.split(delimiter).filter((each) => each !== '');
  try {
    const exists = named !== undefined || existsSync(path);
    return accessOf(merged(exists ? files.map(readKubeConfig) : []));
  } catch (cause) {
    if (cause instanceof NoClusterError) {
      const what = named ?? 'this environment';
      throw new KubeConfigError(
        `${what} ${cause.message}; give --kubeconfig FILE or set KUBECONFIG`,
      );
    }
    const message = `cannot read the kubeconfig ${path}: ${(cause as Error).message}`;
    throw new KubeConfigError(message, { cause });
  }
}

/** Returns the namespace that the operator runs in: POD_NAMESPACE, the service account's, or `default`. */
export function ownNamespace(env: NodeJS.ProcessEnv = process.env): string {
  if (env.POD_NAMESPACE) return env.POD_NAMESPACE;
  const file = `${SERVICE_ACCOUNT}/namespace`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : 'default';
}

class NoClusterError extends Error {
  override readonly name = 'NoClusterError';
}

/** Returns the access that the current context names. Paths in `config` are absolute. */
export function accessOf(config: KubeConfigFile): Access {
  const current = config['current-context'];
  const context = config.contexts?.find(({ name }) => name === current)?.context;
  const cluster = config.clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = config.users?.find(({ name }) => name === context?.user)?.user ?? {};
  if (!cluster?.server) throw new NoClusterError('names no cluster');
  const server = cluster.server.replace(/\/+$/, '');
  if (server.startsWith('http:') && !cluster['insecure-skip-tls-verify']) {
    throw new Error(
      `${server} would get credentials in clear text; it must be https, or have insecure-skip-tls-verify`,
    );
  }
  return user.exec || user['auth-provider'] || cluster['proxy-url']
    ? new LibraryAccess(server, JSON.stringify(config))
    : new DirectAccess(server, () => credentialsOf(cluster, user));
}

function inCluster({ KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' }) {
  return new DirectAccess(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`, () =>
    credentialsOf(
      { 'certificate-authority': `${SERVICE_ACCOUNT}/ca.crt` },
      { tokenFile: `${SERVICE_ACCOUNT}/token` },
    ),
  );
}

function credentialsOf(cluster: ClusterEntry, user: UserEntry): Credentials {
  const ca = content(cluster['certificate-authority'], cluster['certificate-authority-data']);
  const cert = content(user['client-certificate'], user['client-certificate-data']);
  const key = content(user['client-key'], user['client-key-data']);
  const servername = cluster['tls-server-name'];
  const authorization = authorizationOf(user);
  return {
    headers: {
      ...(authorization !== undefined && { authorization }),
      ...(user.as !== undefined && { 'impersonate-user': user.as }),
    },
    tls: {
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(servername !== undefined && { servername }),
      ...(cluster['insecure-skip-tls-verify'] && { rejectUnauthorized: false }),
    },
  };
}

function authorizationOf({ token, tokenFile, username, password }: UserEntry): string | undefined {
  if (token) return `Bearer ${token}`;
  if (tokenFile) return `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`;
  if (!username) return undefined;
  return `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
}

const content = (file: string | undefined, base64: string | undefined): Buffer | undefined => {
  if (file) return readFileSync(file);
  return base64 ? Buffer.from(base64, 'base64') : undefined;
};

/** Fields whose paths are relative to the folder of the kubeconfig. */
const PATHS = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile'];

function readKubeConfig(file: string): KubeConfigFile {
  const absolute = (key: string, value: unknown) =>
    PATHS.includes(key) && typeof value === 'string' && value !== ''
      ? resolve(dirname(file), value)
      : value;
  return (parse(readFileSync(file, 'utf8'), absolute as never) ?? {}) as KubeConfigFile;
}

/** Merges kubeconfigs as kubectl does: the first entry of a name wins. */
const merged = (files: readonly KubeConfigFile[]): KubeConfigFile => ({
  'current-context': files.find((file) => file['current-context'])?.['current-context'],
  contexts: files.flatMap(({ contexts }) => contexts ?? []),
  clusters: files.flatMap(({ clusters }) => clusters ?? []),
  users: files.flatMap(({ users }) => users ?? []),
});
