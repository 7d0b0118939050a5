import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { helmTemplate } from '../support/helm.ts';

/** Renders the chart with `helm template`. */

export const CHART = resolve(import.meta.dirname, '../../charts/greedy-infomax');
export const NAMESPACE = 'gim';
/** Contains the chart's name, so that objects are named by it alone. */
export const RELEASE = 'greedy-infomax';

/** A rendered object, with the fields that all kinds share. */
export interface Rendered {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: what else an object holds depends on its kind
  [field: string]: any;
}

/** Values as an object, or the name of a file in the chart's folder `ci`. */
export type Values = object | string;

const manifests = new Map<string, Promise<string>>();

/**
 * Returns the chart with these values as YAML, hooks included. Rejects with Helm's message about
 * the values.
 */
export function manifest(...values: Values[]): Promise<string> {
  const args = values.flatMap(valuesArgs);
  const key = args.join(' ');
  const known = manifests.get(key);
  if (known) return known;
  const made = helmTemplate(RELEASE, CHART, `--namespace=${NAMESPACE}`, ...args);
  manifests.set(key, made);
  return made;
}

export const render = async (...values: Values[]): Promise<Rendered[]> =>
  parseAllDocuments(await manifest(...values))
    .map((document) => document.toJSON() as Rendered | null)
    .filter((object) => object !== null);

/** Returns the one object of that kind with that name, or with a name that matches the pattern. */
export function find(objects: readonly Rendered[], kind: string, name: string | RegExp): Rendered {
  const matches = (each: string) => (typeof name === 'string' ? each === name : name.test(each));
  const found = objects.filter((each) => each.kind === kind && matches(each.metadata.name));
  const [object] = found;
  if (object !== undefined && found.length === 1) return object;
  const all = objects.map((each) => `${each.kind}/${each.metadata.name}`).join(', ');
  throw new Error(`there are ${found.length} objects ${kind}/${name} among ${all}`);
}

export const ofKind = (objects: readonly Rendered[], kind: string): Rendered[] =>
  objects.filter((object) => object.kind === kind);

/** Folder for helm. */
export const valuesArgs = (values: Values): string[] =>
  typeof values === 'string'
    ? [`--values=${join(CHART, 'ci', `${values}.yaml`)}`]
    : ['--set-json', JSON.stringify(values)];
