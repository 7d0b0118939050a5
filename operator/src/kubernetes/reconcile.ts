import { isDeepStrictEqual } from 'node:util';
import { edgeStream } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { deleteStreams, ensureStreams } from '../nats/streams.ts';
import { FINALIZER } from '../plan/kubernetes/names.ts';
import { isOurs, planKubernetes } from '../plan/kubernetes/plan.ts';
import { isFinished, isUrgent } from '../plan/kubernetes/status.ts';
import type {
  Cause,
  KubernetesPlan,
  KubernetesRun,
  Observed,
  PlanOptions,
} from '../plan/kubernetes/types.ts';
import type { Applier } from './apply.ts';
import type { Client } from './client.ts';
import type { EventRecorder } from './events.ts';
import {
  CONFIG_MAPS,
  JOBS,
  type KubeObject,
  MODULES,
  type Resource,
  RUNS,
  type RunObject,
} from './resource.ts';

/** Carries out the plan of one run: streams, objects, status, then events. */

/** Seconds between writes of a status in which only figures have changed. */
const STATUS_EVERY = 5;

/** What the informers hold of a run. */
export interface Children {
  modules: KubeObject[];
  jobs: KubeObject[];
  configMaps: KubeObject[];
  pods: KubeObject[];
  warnings: ReadonlyMap<string, Cause>;
}

export interface ReconcilerOptions {
  client: Client;
  applier: Applier;
  recorder: EventRecorder;
  /** Null until the first connection to NATS. */
  nats: () => NatsConnection | null;
  /** The newest reports of the run with that uid. */
  reports: (uid: string) => Observed['reports'];
  plan: PlanOptions;
  log: Logger;
  now: () => Date;
}

const RESOURCES: Record<string, Resource> = Object.fromEntries(
  [RUNS, MODULES, JOBS, CONFIG_MAPS].map((resource) => [resource.kind, resource as Resource]),
);

export class Reconciler {
  readonly #options: ReconcilerOptions;
  /** By uid of the run. */
  readonly #statusAt = new Map<string, number>();
  /** Modules whose trainers may end, by uid of the run. */
  readonly #released = new Map<string, { run: KubernetesRun; modules: string[] }>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Of every run whose trainers must be told. */
  released(): Iterable<{ run: KubernetesRun; modules: string[] }> {
    return this.#released.values();
  }

  forget(uid: string): void {
    this.#statusAt.delete(uid);
    this.#released.delete(uid);
  }

  /** Brings the world to what `run` asks for; resolves with the seconds after which to look again. */
  async reconcile(run: RunObject, children: Children): Promise<number | undefined> {
    const typed = run as unknown as KubernetesRun;
    if (!isOurs(typed)) return undefined;
    const { uid = '' } = run.metadata;
    if (run.metadata.deletionTimestamp !== undefined) {
      this.forget(uid);
      await this.#release(run);
      return undefined;
    }
    if (!isFinished(typed.status) && !run.metadata.finalizers?.includes(FINALIZER)) {
      // Before the first stream: a run deleted at this moment must not leave one behind.
      await this.#setFinalizers(run, [...(run.metadata.finalizers ?? []), FINALIZER]);
    }

    const plan = planKubernetes({
      run: typed,
      observed: {
        ...children,
        reports: this.#options.reports(uid),
      } as unknown as Observed,
      now: this.#options.now(),
      options: this.#options.plan,
    });
    // The trainers of a finished run have ended, or are being ended.
    if (isFinished(typed.status)) this.#released.delete(uid);
    else this.#released.set(uid, { run: typed, modules: plan.released });
    const streamsOk = await this.#streams(run, plan);
    await this.#objects(plan, children);
    const waits = [
      plan.requeueAfterSeconds,
      streamsOk ? undefined : 1,
      await this.#status(run, typed, plan, children),
    ].filter((wait) => wait !== undefined);
    return waits.length > 0 ? Math.min(...waits) : undefined;
  }

  /** False if NATS could not be asked; the run goes on without. */
  async #streams(run: RunObject, plan: KubernetesPlan): Promise<boolean> {
    const nats = this.#options.nats();
    if (nats === null) return plan.streams === null;
    try {
      if (plan.streams === null) await deleteStreams(nats, streamsOf(run));
      else await ensureStreams(nats, plan.streams);
      return true;
    } catch (error) {
      this.#options.log.warn(
        { err: error, run: run.metadata.name },
        'could not look after the streams',
      );
      return plan.streams === null;
    }
  }

  async #objects(plan: KubernetesPlan, children: Children): Promise<void> {
    const { applier, client } = this.#options;
    const observed = [...children.modules, ...children.jobs, ...children.configMaps];
    for (const { kind = '', namespace, name, uid } of plan.remove) {
      const resource = RESOURCES[kind];
      if (resource) await client.delete(resource, namespace, name, uid);
    }
    for (const object of plan.apply as unknown as KubeObject[]) {
      const resource = RESOURCES[object.kind ?? ''];
      if (!resource) throw new TypeError(`the plan holds a ${object.kind}, which nobody applies`);
      const there = observed.find(
        ({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name,
      );
      await applier.apply(resource, object, there);
    }
  }

  /** Writes status and then events; resolves with the seconds to wait if it is too early to write. */
  async #status(
    run: RunObject,
    { status: before = {} }: KubernetesRun,
    plan: KubernetesPlan,
    { modules }: Children,
  ): Promise<number | undefined> {
    const { applier, recorder, now } = this.#options;
    const { uid = '' } = run.metadata;
    const since = (now().getTime() - (this.#statusAt.get(uid) ?? 0)) / 1000;
    if (isDeepStrictEqual(before, plan.status)) return undefined;
    if (!isUrgent(before, plan.status) && since < STATUS_EVERY) return STATUS_EVERY - since;
    this.#statusAt.set(uid, now().getTime());
    await applier.applyStatus(RUNS, run, plan.status as NonNullable<RunObject['status']>);
    for (const [name, status] of plan.moduleStatus) {
      const module = modules.find(({ metadata }) => metadata.name === name);
      if (module) await applier.applyStatus(MODULES, module as never, status as never);
    }
    for (const { type, reason, message } of plan.events) {
      recorder.record(run, { type, reason, action: reason, note: message });
    }
    return undefined;
  }

  /** A run that goes takes its streams along. NATS gone for good must not keep it. */
  async #release(run: RunObject): Promise<void> {
    const finalizers = run.metadata.finalizers ?? [];
    if (!finalizers.includes(FINALIZER)) return;
    const { log } = this.#options;
    const nats = this.#options.nats();
    try {
      if (nats) await deleteStreams(nats, streamsOf(run));
    } catch (error) {
      log.warn(
        { err: error, run: run.metadata.name },
        'could not delete the streams of a deleted run',
      );
    }
    await this.#setFinalizers(
      run,
      finalizers.filter((finalizer) => finalizer !== FINALIZER),
    );
  }

  async #setFinalizers(run: RunObject, finalizers: string[]): Promise<void> {
    const { namespace = '', name, resourceVersion } = run.metadata;
    const body = { metadata: { finalizers, resourceVersion } };
    await this.#options.client.patch(RUNS, namespace, name, 'merge', body);
  }
}

/** The names of all streams that a run can have. */
const streamsOf = ({ metadata: { namespace = '', name }, spec }: RunObject) =>
  spec.modules
    .slice(0, -1)
    .map((module) => ({ name: edgeStream({ namespace, name }, module.name) }));
