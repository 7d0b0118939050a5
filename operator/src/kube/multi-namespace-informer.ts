import type { Client } from './client.ts';
import { type Handler, Informer, type InformerOptions } from './informer.ts';
import type { KubeObject, Resource } from './resource.ts';

/** `--namespaces` contains an invalid namespace name. */
export class NamespacesError extends Error {
  override readonly name = 'NamespacesError';
}

/**
 * Parses `a,b` into a list. Returns undefined for an empty text, which means all namespaces.
 * @throws NamespacesError
 */
export function parseNamespaces(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const names = [...new Set(text.split(',').map((name) => name.trim()))];
  const wrong = names.find((name) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name));
  if (wrong === undefined) return names;
  throw new NamespacesError(
    `--namespaces ${text}: "${wrong}" is no name of a namespace; give names with commas between, or leave the option out for all namespaces`,
  );
}

/**
 * Mirrors the objects of a kind in each of the given namespaces, or in all. Each namespace has its own watch,
 * because rights in single namespaces do not permit a cluster-wide watch.
 */
export class NamespacesInformer<T extends KubeObject> {
  readonly #informers: Map<string | undefined, Informer<T>>;

  constructor(
    client: Client,
    resource: Resource<T>,
    namespaces: readonly string[] | undefined,
    options: Omit<InformerOptions, 'namespace'>,
  ) {
    this.#informers = new Map(
      (namespaces ?? [undefined]).map((namespace) => [
        namespace,
        new Informer(client, resource, { ...options, namespace }),
      ]),
    );
  }

  /** Reports whether the first list of every namespace is complete. */
  get synced(): boolean {
    return this.#all().every((informer) => informer.synced);
  }

  async whenSynced(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.whenSynced()));
  }

  /** @param key `NAMESPACE/NAME` */
  get(key: string): T | undefined {
    const namespace = key.slice(0, key.indexOf('/'));
    return (this.#informers.get(namespace) ?? this.#informers.get(undefined))?.get(key);
  }

  list(): T[] {
    return this.#all().flatMap((informer) => informer.list());
  }

  /** Calls `handler` with every later change, and at once with `added` for each existing object. */
  onChange(handler: Handler<T>): () => void {
    const stops = this.#all().map((informer) => informer.onChange(handler));
    return () => {
      for (const stop of stops) stop();
    };
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.run(signal)));
  }

  #all = (): Informer<T>[] => [...this.#informers.values()];
}
