import { definitions } from '@greedy-infomax/crds/definitions';
import type { Logger } from 'pino';
import { ApiError, type Client, isGone } from '../kube/client.ts';
import { pause } from '../kube/clock.ts';
import { CRDS, type CrdObject, pathOf } from '../kube/resource.ts';

/**
 * Checks whether the CRDs of the cluster have every field that this version of the operator reads and writes.
 */

/** Milliseconds between two checks of the CRDs: while one does not fit, and otherwise. */
const SOON = 5_000;
const LATER = 60_000;
/** Maximum number of fields named in a message. */
const NAMED_MAX = 8;

interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
}

/**
 * Returns the paths of fields that `wanted` has and `there` lacks. A missing object is listed by its own path
 * only.
 */
export function missingFields(wanted: Schema, there: Schema, at = ''): string[] {
  if (there['x-kubernetes-preserve-unknown-fields']) return [];
  const ofProperties = Object.entries(wanted.properties ?? {}).flatMap(([name, schema]) => {
    const path = at === '' ? name : `${at}.${name}`;
    const other = there.properties?.[name];
    return other ? missingFields(schema, other, path) : [path];
  });
  const ofItems =
    wanted.items && there.items ? missingFields(wanted.items, there.items, `${at}[]`) : [];
  const { additionalProperties: values } = wanted;
  const others = there.additionalProperties;
  const ofValues =
    typeof values === 'object' && typeof others === 'object'
      ? missingFields(values, others, `${at}.*`)
      : [];
  return [...ofProperties, ...ofItems, ...ofValues];
}

/** Returns what is wrong with a CRD of the cluster and how to repair it; undefined if it fits. */
export function crdProblem(wanted: CrdObject, there: CrdObject | undefined): string | undefined {
  const { name } = wanted.metadata;
  const [version] = wanted.spec.versions;
  const file = `crds/${name.slice(0, name.indexOf('.'))}.yaml`;
  const mend = `apply the CRDs of the operator's version: helm upgrade with crds.install=true, or kubectl apply --server-side --filename=${file}`;
  if (there === undefined) return `CRD ${name} is not installed; ${mend}`;
  const served = there.spec.versions.find((each) => each.name === version?.name && each.served);
  if (!served) return `CRD ${name} does not serve version ${version?.name}; ${mend}`;
  const schemaOf = (each: CrdObject['spec']['versions'][number] | undefined) =>
    (each?.schema?.openAPIV3Schema ?? {}) as Schema;
  const missing = missingFields(schemaOf(version), schemaOf(served));
  if (missing.length === 0) return undefined;
  const more = missing.length > NAMED_MAX ? ` and ${missing.length - NAMED_MAX} more` : '';
  return `CRD ${name} is older than the operator: it lacks ${missing.slice(0, NAMED_MAX).join(', ')}${more}; ${mend}`;
}

/** Checks the CRDs of the cluster periodically. */
export class CrdVersions {
  readonly #client: Client;
  readonly #log: Logger;
  readonly #wanted = definitions() as CrdObject[];
  #problem: string | undefined = 'the CRDs have not been read yet';
  #mayRead = true;

  constructor(client: Client, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  /** Reason why the operator cannot write status; undefined if none is known. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Runs until `signal` is aborted, or the API server says that this operator may not read CRDs. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#mayRead) {
      await this.#look(signal);
      if (this.#mayRead) await pause(this.#problem === undefined ? LATER : SOON, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    try {
      const problems = await Promise.all(
        this.#wanted.map(async (wanted) => crdProblem(wanted, await this.#get(wanted, signal))),
      );
      this.#say(problems.find((problem) => problem !== undefined));
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 403) {
        this.#mayRead = false;
        this.#problem = undefined;
        this.#log.info('the CRDs are not compared with this version: no right to get them');
      } else this.#log.warn({ err: error }, 'cannot read the CRDs');
    }
  }

  async #get({ metadata }: CrdObject, signal: AbortSignal): Promise<CrdObject | undefined> {
    try {
      return await this.#client.call('GET', pathOf(CRDS, undefined, metadata.name), { signal });
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  #say(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.#problem) this.#log.error(problem);
    if (problem === undefined && this.#problem !== undefined)
      this.#log.info('the CRDs fit this version');
    this.#problem = problem;
  }
}
