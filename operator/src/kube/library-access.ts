import { isDeepStrictEqual } from 'node:util';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Agent } from 'undici';
import { type Access, keptAgent, type Opened } from './access.ts';

/**
 * Access through the Kubernetes library, which supports credential plugins, OpenID Connect and proxies, as in
 * kubeconfigs of users. It is loaded only when needed, because its classes take 75 MB of memory.
 */
export class LibraryAccess implements Access {
  readonly server: string;
  readonly #kubeConfig: string;
  #opener: Promise<() => Promise<Opened>> | undefined;
  #agent: { options: unknown; dispatcher: Agent } | undefined;

  /** `kubeConfig` is the text of the file. */
  constructor(server: string, kubeConfig: string) {
    this.server = server;
    this.#kubeConfig = kubeConfig;
  }

  async open(): Promise<Opened> {
    this.#opener ??= this.#load();
    return (await this.#opener)();
  }

  async close(): Promise<void> {
    await this.#agent?.dispatcher.destroy();
    this.#agent = undefined;
  }

  async #load(): Promise<() => Promise<Opened>> {
    const { HttpMethod, KubeConfig, RequestContext } = await import('@kubernetes/client-node');
    const config = new KubeConfig();
    config.loadFromString(this.#kubeConfig);
    this.#pool(config);
    return async () => {
      const context = new RequestContext(this.server, HttpMethod.GET);
      await config.applySecurityAuthentication(context);
      const headers = context.getHeaders() as Record<string, string>;
      return { headers, dispatcher: context.getDispatcher() as unknown as Agent };
    };
  }

  /**
   * Keeps one dispatcher, replaced when certificates are renewed. The library creates a dispatcher with its
   * own connection pool for every request.
   */
  #pool(kubeConfig: KubeConfig): void {
    const config = kubeConfig as unknown as {
      createDispatcherOptions: KubeConfig['createDispatcherOptions'];
      createDispatcher: (...args: Parameters<KubeConfig['createDispatcherOptions']>) => unknown;
    };
    const stock = config.createDispatcher.bind(config);
    config.createDispatcher = (cluster, agentOptions) => {
      if (this.#agent && isDeepStrictEqual(this.#agent.options, agentOptions)) {
        return this.#agent.dispatcher;
      }
      const options = config.createDispatcherOptions(cluster, agentOptions);
      const isProxy = options.type === 'proxy' || options.type === 'socks';
      const dispatcher = isProxy
        ? (stock(cluster, agentOptions) as Agent)
        : keptAgent((options.type === 'agent' && options.connect) || {});
      void this.#agent?.dispatcher.close();
      this.#agent = { options: agentOptions, dispatcher };
      return dispatcher;
    };
  }
}
