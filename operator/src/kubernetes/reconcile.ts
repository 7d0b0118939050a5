import { isDeepStrictEqual } from 'node:util';
import { edgeStream } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { deleteStreams, ensureStreams } from '../nats/streams.ts';
import { ownerMetadata } from '../nats/sweep.ts';
import { cleanupOf } from '../plan/kubernetes/cleanup.ts';
import { FINALIZER } from '../plan/kubernetes/names.ts';
import { isOurs, planKubernetes } from '../plan/kubernetes/plan.ts';
import { isFinished, isUrgent } from '../plan/kubernetes/status.ts';
import { type TakenName, withNameTaken } from '../plan/kubernetes/taken.ts';
import type {
  Cause,
  KubernetesPlan,
  KubernetesRun,
  Observed,
  PlanOptions,
} from '../plan/kubernetes/types.ts';
import { type Applier, NameTakenError } from './apply.ts';
import { ApiError, type Client } from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import type { RunCredentials } from './credentials.ts';
import type { EventRecorder } from './events.ts';
import {
  CONFIG_MAPS,
  controllerOf,
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
/** Seconds between looks at a run that waits for its checkpoints to be removed. */
const CLEANUP_EVERY = 5;
/** A time to live or a deadline is looked at so often at least: the system's date may be set meanwhile. */
const LOOK_AGAIN_MAX = 600;

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
  credentials: RunCredentials;
  log: Logger;
  /** Name of this operator in the whole world, for its streams; undefined until it leads. */
  operator: () => string | undefined;
  /** Called when a run is gone and its streams could not be deleted. */
  onStreamsLeft: () => void;
  clock?: Clock;
}

const RESOURCES: Record<string, Resource> = Object.fromEntries(
  [RUNS, MODULES, JOBS, CONFIG_MAPS].map((resource) => [resource.kind, resource as Resource]),
);

export class Reconciler {
  readonly #options: ReconcilerOptions & { clock: Clock };
  /** When the status was last written, by uid of the run. */
  readonly #statusAt = new Map<string, number>();
  /** What our last write made of a run, and the version of the run that the cache had then; by its uid. */
  readonly #written = new Map<string, { over: string | undefined; run: RunObject }>();
  /** Uids of finished runs whose streams are deleted. */
  readonly #withoutStreams = new Set<string>();
  /** Modules whose trainers may end, by uid of the run. */
  readonly #released = new Map<string, { run: KubernetesRun; modules: string[] }>();

  constructor(options: ReconcilerOptions) {
    this.#options = { clock: systemClock, ...options };
  }

  /** Of every run whose trainers must be told. */
  released(): Iterable<{ run: KubernetesRun; modules: string[] }> {
    return this.#released.values();
  }

  forget(uid: string): void {
    this.#statusAt.delete(uid);
    this.#released.delete(uid);
    this.#written.delete(uid);
    this.#withoutStreams.delete(uid);
    this.#options.credentials.forget(uid);
  }

  /** Brings the world to what `run` asks for; resolves with the seconds after which to look again. */
  async reconcile(cached: RunObject, children: Children): Promise<number | undefined> {
    const run = this.#newest(cached);
    const typed = run as unknown as KubernetesRun;
    const { uid = '' } = run.metadata;
    if (run.metadata.deletionTimestamp !== undefined) {
      this.forget(uid);
      return this.#release(run, children);
    }
    if (!isOurs(typed)) return undefined;
    if (!isFinished(typed.status) && !run.metadata.finalizers?.includes(FINALIZER)) {
      // Before the first stream: a run deleted at this moment must not leave one behind.
      const finalizers = [...(run.metadata.finalizers ?? []), FINALIZER];
      const marked = await this.#setFinalizers(run, finalizers);
      this.#written.set(uid, { over: cached.metadata.resourceVersion, run: marked });
    }

    const now = this.#options.clock.date();
    const planned = planKubernetes({
      run: typed,
      observed: {
        ...children,
        reports: this.#options.reports(uid),
      } as unknown as Observed,
      now,
      options: this.#options.plan,
    });
    // The trainers of a finished run have ended, or are being ended.
    if (isFinished(typed.status)) this.#released.delete(uid);
    else this.#released.set(uid, { run: typed, modules: planned.released });
    const streamsOk = await this.#streams(run, planned);
    if (planned.credentials) await this.#options.credentials.ensure(planned.credentials);
    const taken = await this.#objects(run, planned, children);
    const plan = taken ? withNameTaken(typed, planned, taken, now) : planned;
    const waits = [
      plan.requeueAfterSeconds,
      streamsOk ? undefined : 1,
      await this.#status(cached, run, plan, children),
    ].filter((wait) => wait !== undefined);
    return waits.length > 0 ? Math.min(...waits, LOOK_AGAIN_MAX) : undefined;
  }

  /** The run as our last write left it, if the cache has not moved since; else a status would be made twice. */
  #newest(cached: RunObject): RunObject {
    const { uid = '', resourceVersion } = cached.metadata;
    const written = this.#written.get(uid);
    return written?.over === resourceVersion ? (written?.run ?? cached) : cached;
  }

  /** False if NATS could not be asked; the run goes on without. */
  async #streams({ metadata, spec }: RunObject, { streams }: KubernetesPlan): Promise<boolean> {
    const { namespace = '', name, uid = '' } = metadata;
    const operator = this.#options.operator();
    const nats = this.#options.nats();
    // What of a finished run is left when NATS is away, the next sweep takes.
    if (streams === null && (nats === null || this.#withoutStreams.has(uid))) return true;
    if (nats === null) return false;
    try {
      if (streams === null) {
        await deleteStreams(nats, streamsOf({ metadata, spec }));
        this.#withoutStreams.add(uid);
      } else {
        const notes =
          operator === undefined ? {} : ownerMetadata(operator, { namespace, run: name });
        await ensureStreams(nats, streams, notes);
      }
      return true;
    } catch (error) {
      this.#options.log.warn({ err: error, run: name }, 'could not look after the streams');
      return streams === null;
    }
  }

  /** Deletes and applies as planned; stops at an object whose name is taken, and resolves with it. */
  async #objects(
    run: RunObject,
    plan: KubernetesPlan,
    children: Children,
  ): Promise<TakenName | undefined> {
    const { applier, client } = this.#options;
    const observed = [...children.modules, ...children.jobs, ...children.configMaps].filter(
      (object) => controllerOf(object)?.uid === run.metadata.uid,
    );
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
      try {
        await applier.apply(resource, object, there);
      } catch (error) {
        if (!(error instanceof NameTakenError)) throw error;
        const { kind, object: name, owner } = error;
        return { kind, name, ...(owner && { owner }) };
      }
    }
    return undefined;
  }

  /** Writes status and then events; resolves with the seconds to wait if it is too early to write. */
  async #status(
    cached: RunObject,
    run: RunObject,
    plan: KubernetesPlan,
    { modules }: Children,
  ): Promise<number | undefined> {
    const { applier, recorder, clock } = this.#options;
    const { uid = '' } = run.metadata;
    const before = (run as unknown as KubernetesRun).status ?? {};
    if (!isDeepStrictEqual(before, plan.status)) {
      const since = (clock.now() - (this.#statusAt.get(uid) ?? Number.NEGATIVE_INFINITY)) / 1000;
      if (!isUrgent(before, plan.status) && since < STATUS_EVERY) return STATUS_EVERY - since;
      const status = plan.status as NonNullable<RunObject['status']>;
      const { object } = await applier.applyStatus(RUNS, run, status);
      this.#statusAt.set(uid, clock.now());
      this.#written.set(uid, { over: cached.metadata.resourceVersion, run: object });
      for (const { type, reason, message } of plan.events) {
        recorder.record(run, { type, reason, action: reason, note: message });
      }
    }
    for (const [name, status] of plan.moduleStatus) {
      const module = modules.find(({ metadata }) => metadata.name === name);
      if (module) await applier.applyStatus(MODULES, module as never, status as never);
    }
    return undefined;
  }

  /** A run that goes takes its streams along. NATS gone for good must not keep it. */
  async #release(run: RunObject, children: Children): Promise<number | undefined> {
    const finalizers = run.metadata.finalizers ?? [];
    if (!finalizers.includes(FINALIZER)) return undefined;
    if (!(await this.#cleanUp(run, children))) return CLEANUP_EVERY;
    const { log, onStreamsLeft } = this.#options;
    const nats = this.#options.nats();
    try {
      if (nats) await deleteStreams(nats, streamsOf(run));
      else onStreamsLeft();
    } catch (error) {
      log.warn(
        { err: error, run: run.metadata.name },
        'could not delete the streams of a deleted run',
      );
      onStreamsLeft();
    }
    const others = finalizers.filter((finalizer) => finalizer !== FINALIZER);
    await this.#setFinalizers(run, others).catch((error: unknown) => {
      // The cache is behind: the run is gone already.
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    });
    return undefined;
  }

  /** Whether the checkpoints of a deleted run are gone, or stay. */
  async #cleanUp(run: RunObject, children: Children): Promise<boolean> {
    const { client, applier, recorder, clock, plan, log } = this.#options;
    const typed = run as unknown as KubernetesRun;
    const observed = children as unknown as Pick<Observed, 'jobs' | 'pods'>;
    const { apply, remove, done, event } = cleanupOf(typed, observed, clock.date(), plan);
    for (const { namespace, name, uid } of remove) await client.delete(JOBS, namespace, name, uid);
    if (event) {
      const { type, reason, message } = event;
      recorder.record(run, { type, reason, action: reason, note: message });
    }
    if (!apply) return done;
    try {
      await applier.apply(JOBS, apply as never, undefined);
      return done;
    } catch (error) {
      // Nothing can be made in a namespace that is being deleted.
      if (!(error instanceof ApiError) || error.status !== 403) throw error;
      log.warn({ err: error, run: run.metadata.name }, 'could not remove the checkpoints');
      return true;
    }
  }

  #setFinalizers(run: RunObject, finalizers: string[]): Promise<RunObject> {
    const { namespace = '', name, resourceVersion } = run.metadata;
    const body = { metadata: { finalizers, resourceVersion } };
    return this.#options.client.patch(RUNS, namespace, name, 'merge', body);
  }
}

/** The names of all streams that a run can have. */
const streamsOf = ({
  metadata: { namespace = '', name },
  spec,
}: Pick<RunObject, 'metadata' | 'spec'>) =>
  spec.modules
    .slice(0, -1)
    .map((module) => ({ name: edgeStream({ namespace, name }, module.name) }));
