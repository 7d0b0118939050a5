import { existsSync, readFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';

/** No way to an API server was found, or the one named cannot be read. */
export class KubeConfigError extends Error {
  override readonly name = 'KubeConfigError';
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The way to the API server: `file` if given (--kubeconfig), else KUBECONFIG, else the pod's service
 * account, else ~/.kube/config.
 * @throws KubeConfigError
 */
export function loadKubeConfig(file?: string, env: NodeJS.ProcessEnv = process.env): KubeConfig {
  const config = new KubeConfig();
  const named = file ?? (env.KUBECONFIG || undefined);
  try {
    if (named !== undefined) {
      const [first = '', ...rest] = named.split(delimiter).filter((each) => each !== '');
      config.loadFromFile(first);
      for (const each of rest) {
        const more = new KubeConfig();
        more.loadFromFile(each);
        config.mergeConfig(more);
      }
    } else if (env.KUBERNETES_SERVICE_HOST && existsSync(`${SERVICE_ACCOUNT}/token`)) {
      config.loadFromCluster();
    } else config.loadFromDefault();
  } catch (cause) {
    const message = `cannot read the kubeconfig ${named ?? 'in ~/.kube'}: ${(cause as Error).message}`;
    throw new KubeConfigError(message, { cause });
  }
  // The library makes up http://localhost:8080 when it finds nothing.
  const cluster = config.getCurrentCluster();
  if (!cluster || cluster.server === 'http://localhost:8080') {
    throw new KubeConfigError(
      `${named ?? 'this environment'} names no cluster; give --kubeconfig FILE or set KUBECONFIG`,
    );
  }
  return config;
}

/** The namespace that the operator itself runs in: POD_NAMESPACE, the service account's, or `default`. */
export function ownNamespace(env: NodeJS.ProcessEnv = process.env): string {
  if (env.POD_NAMESPACE) return env.POD_NAMESPACE;
  const file = `${SERVICE_ACCOUNT}/namespace`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : 'default';
}
