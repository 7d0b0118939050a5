import { LABELS } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import type { Client } from '../kube/client.ts';
import type { Change, Handler } from '../kube/informer.ts';
import { NamespacesInformer } from '../kube/multi-namespace-informer.ts';
import {
  CONFIG_MAPS,
  JOBS,
  type KubeObject,
  keyOf,
  MODULES,
  PODS,
  type Resource,
  RUNS,
} from '../kube/resource.ts';
import { millis } from '../plan/kubernetes/objects.ts';
import type { Warning, Warnings } from '../plan/kubernetes/types.ts';
import { configMapOfRun, jobOfRun, ownedByRun, podOfJob, warningOfChild } from './kept-objects.ts';

/** Caches of the cluster's state: runs, and all objects that belong to each. */

/** Cached objects of one run. */
export interface Children {
  modules: KubeObject[];
  jobs: KubeObject[];
  configMaps: KubeObject[];
  pods: KubeObject[];
  /** Warning events about objects in the run's namespace. */
  warnings: Warnings;
}

/** Fields that are read of an event of the core API. */
interface CoreEvent extends KubeObject {
  reason?: string;
  message?: string;
  involvedObject?: { kind?: string; name?: string; namespace?: string; uid?: string };
  eventTime?: string;
  firstTimestamp?: string;
  lastTimestamp?: string;
  series?: { lastObservedTime?: string };
}
const WARNINGS: Resource<CoreEvent> = { apiVersion: 'v1', kind: 'Event', plural: 'events' };
/**
 * Seconds of a watch of events. The API server sends no bookmarks to it, so it must end before it counts as
 * dead.
 */
const WARNINGS_SECONDS = 35;
/** Maximum number of warnings kept about one object; the newest are kept. */
const WARNINGS_MAX = 16;

/** `event` is the name of the event, which changes when the event repeats. */
type NamedWarning = Warning & { event: string };

export class Caches {
  readonly runs;
  readonly #modules;
  readonly #jobs;
  readonly #configMaps;
  readonly #pods;
  readonly #warnings;
  /** Objects of each kind, grouped by key of the run. */
  readonly #byRun;
  readonly #warningsByNamespace = new Map<string, Map<string, NamedWarning[]>>();

  /** Without `namespaces`, all namespaces are cached. */
  constructor(client: Client, namespaces: readonly string[] | undefined, log: Logger) {
    const ofRuns = { log, labelSelector: LABELS.run };
    const keep = ownedByRun;
    this.runs = new NamespacesInformer(client, RUNS, namespaces, { log });
    this.#modules = new NamespacesInformer(client, MODULES, namespaces, { log, keep });
    this.#jobs = new NamespacesInformer(client, JOBS, namespaces, { ...ofRuns, keep: jobOfRun });
    this.#configMaps = new NamespacesInformer(client, CONFIG_MAPS, namespaces, {
      ...ofRuns,
      keep: configMapOfRun,
      metadataOnly: true,
    });
    this.#pods = new NamespacesInformer(client, PODS, namespaces, { ...ofRuns, keep: podOfJob });
    this.#warnings = new NamespacesInformer(client, WARNINGS, namespaces, {
      log,
      fieldSelector: 'type=Warning',
      watchSeconds: WARNINGS_SECONDS,
      keep: warningOfChild,
    });
    this.#byRun = {
      modules: indexed(this.#modules),
      jobs: indexed(this.#jobs),
      configMaps: indexed(this.#configMaps),
      pods: indexed(this.#pods),
    };
    this.#warnings.onChange((change, event) => this.#noteWarning(change, event));
  }

  /** Reports whether all caches are filled. */
  get synced(): boolean {
    return this.#informers().every((informer) => informer.synced);
  }

  async whenSynced(): Promise<void> {
    await Promise.all(this.#informers().map((informer) => informer.whenSynced()));
  }

  /** Fills the caches and keeps them up to date until `signal` is aborted. */
  async watch(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers().map((informer) => informer.run(signal)));
  }

  /** @param run its key */
  childrenOf(run: string): Children {
    const { modules, jobs, configMaps, pods } = this.#byRun;
    const namespace = run.slice(0, run.indexOf('/'));
    return {
      modules: modules(run),
      jobs: jobs(run),
      configMaps: configMaps(run),
      pods: pods(run),
      warnings: this.#warningsByNamespace.get(namespace) ?? new Map(),
    };
  }

  /** Calls `handler` with every change of an object that belongs to a run; `run` is the run's key. */
  onChildChange(handler: (run: string, change: Change, object: KubeObject) => void): void {
    const tell: Handler<KubeObject> = (change, object) => {
      const run = runOf(object);
      if (run !== undefined) handler(run, change, object);
    };
    for (const informer of [this.#modules, this.#jobs, this.#configMaps, this.#pods]) {
      (informer as NamespacesInformer<KubeObject>).onChange(tell);
    }
  }

  /**
   * Calls `handler` with the key of a run when a warning about one of its pods or Jobs is added or removed.
   */
  onWarning(handler: (run: string) => void): void {
    this.#warnings.onChange((_, { involvedObject }) => {
      const key = `${involvedObject?.namespace}/${involvedObject?.name}`;
      const child = this.#pods.get(key) ?? this.#jobs.get(key);
      const run = child && runOf(child);
      if (run !== undefined) handler(run);
    });
  }

  #informers = () => [
    this.runs,
    this.#modules,
    this.#jobs,
    this.#configMaps,
    this.#pods,
    this.#warnings,
  ];

  #noteWarning(change: Change, event: CoreEvent): void {
    const { metadata, reason = '', message = '', involvedObject } = event;
    const { namespace = '', name } = metadata;
    const ofNamespace = this.#warningsByNamespace.get(namespace) ?? new Map();
    this.#warningsByNamespace.set(namespace, ofNamespace);
    const about = `${involvedObject?.kind}/${involvedObject?.name}`;
    const before: NamedWarning[] = ofNamespace.get(about) ?? [];
    const others = before.filter((each) => each.event !== name);
    const uid = involvedObject?.uid;
    const warning = { reason, message, at: lastSeen(event), event: name, ...(uid && { uid }) };
    const now = change === 'deleted' ? others : [...others, warning].slice(-WARNINGS_MAX);
    if (now.length > 0) ofNamespace.set(about, now);
    else ofNamespace.delete(about);
    if (ofNamespace.size === 0) this.#warningsByNamespace.delete(namespace);
  }
}

/** Returns when the event was last seen, in milliseconds since the epoch. */
const lastSeen = ({
  series,
  lastTimestamp,
  eventTime,
  firstTimestamp,
  metadata,
}: CoreEvent): number =>
  millis(series?.lastObservedTime) ??
  millis(lastTimestamp) ??
  millis(eventTime) ??
  millis(firstTimestamp) ??
  millis(metadata.creationTimestamp) ??
  0;

/** Returns the key of the run that an object belongs to. */
function runOf({ metadata: { namespace, labels, ownerReferences } }: KubeObject) {
  const run = labels?.[LABELS.run] ?? ownerReferences?.find(({ kind }) => kind === RUNS.kind)?.name;
  return run === undefined ? undefined : `${namespace}/${run}`;
}

/** Indexes the objects by run, so that reading one run does not scan all of them. */
function indexed<T extends KubeObject>(informer: NamespacesInformer<T>): (run: string) => T[] {
  const byRun = new Map<string, Map<string, T>>();
  informer.onChange((change, object, before) => {
    const key = keyOf(object);
    const former = before && runOf(before);
    if (former !== undefined) {
      byRun.get(former)?.delete(key);
      if (byRun.get(former)?.size === 0) byRun.delete(former);
    }
    const run = runOf(object);
    if (change === 'deleted' || run === undefined) return;
    const ofRun = byRun.get(run) ?? new Map<string, T>();
    byRun.set(run, ofRun.set(key, object));
  });
  return (run) => [...(byRun.get(run)?.values() ?? [])];
}
