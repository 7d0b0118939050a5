import { isDeepStrictEqual } from 'node:util';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { isOurs, planKubernetes } from '../plan/kubernetes/plan.ts';
import { withRefused } from '../plan/kubernetes/refused.ts';
import { isFinished, isUrgent } from '../plan/kubernetes/status.ts';
import { withNameTaken } from '../plan/kubernetes/taken.ts';
import type {
  KubernetesPlan,
  KubernetesRun,
  Observed,
  PlanOptions,
} from '../plan/kubernetes/types.ts';
import { type Applier, NameTakenError } from './apply.ts';
import type { Children } from './caches.ts';
import type { Client } from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import type { RunCredentials } from './credentials.ts';
import { Deletion } from './deletion.ts';
import type { EventRecorder } from './events.ts';
import { asNote, asObjects, asObserved, asRun } from './planner-types.ts';
import { orRefused, RefusedError } from './refused.ts';
import {
  CONFIG_MAPS,
  controllerOf,
  JOBS,
  type KubeObject,
  keyOf,
  MODULES,
  type ModuleObject,
  type Resource,
  RUNS,
  type RunObject,
} from './resource.ts';
import { RunStreams } from './run-streams.ts';

/** Carries out the plan of one run: streams, objects, status, then events. */

/** Seconds between writes of a status in which only figures have changed. */
const STATUS_EVERY = 5;
/** Seconds until streams are looked after again that could not be. */
const STREAMS_AGAIN = 1;
/** A time to live or a deadline is looked at so often at least: the system's date may be set meanwhile. */
const LOOK_AGAIN_MAX = 600;

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
  /** Called when streams that nobody needs could not be deleted. */
  onStreamsLeft: () => void;
  clock?: Clock;
}

const RESOURCES: ReadonlyMap<string | undefined, Resource> = new Map(
  [RUNS, MODULES, JOBS, CONFIG_MAPS].map((resource) => [resource.kind, resource as Resource]),
);

/** What the trainers of a run are told. */
export interface Told {
  run: KubernetesRun;
  /** Modules whose trainers may end. */
  released: string[];
  /** How many trainers each should have. */
  modules: { name: string; replicas: number }[];
}

export class Reconciler {
  readonly #options: ReconcilerOptions & { clock: Clock };
  readonly #streams: RunStreams;
  readonly #deletion: Deletion;
  /** When the status was last written, by uid of the run. */
  readonly #statusAt = new Map<string, number>();
  /** What our last write made of a run, and the versions that it came after and the cache may still show; by uid. */
  readonly #written = new Map<string, { over: Set<string | undefined>; run: RunObject }>();
  /** By uid of the run. */
  readonly #told = new Map<string, Told>();

  constructor(options: ReconcilerOptions) {
    this.#options = { clock: systemClock, ...options };
    this.#streams = new RunStreams({ ...options, onLeft: options.onStreamsLeft });
    this.#deletion = new Deletion({ ...this.#options, streams: this.#streams });
  }

  /** Of every run whose trainers must be told. */
  told(): Iterable<Told> {
    return this.#told.values();
  }

  forget(uid: string): void {
    this.#statusAt.delete(uid);
    this.#told.delete(uid);
    this.#written.delete(uid);
    this.#streams.forget(uid);
    this.#options.credentials.forget(uid);
  }

  /** Cleans up after a run that is not there any more. */
  gone(key: string): Promise<void> {
    return this.#streams.deleteLeft(key);
  }

  /**
   * Brings the world to what the run asks for; resolves with the seconds after which to look again.
   * @throws ApiError, UnreachableError, to be tried again
   */
  async reconcile(cached: RunObject, children: Children): Promise<number | undefined> {
    const newest = this.#newest(cached);
    const { uid = '', deletionTimestamp } = newest.metadata;
    await this.#streams.deleteLeft(keyOf(newest), uid);
    if (deletionTimestamp !== undefined) {
      this.forget(uid);
      return this.#deletion.release(newest, children);
    }
    if (!isOurs(asRun(newest))) return undefined;
    // Before the first stream: a run deleted at this moment must not leave one behind.
    const run = isFinished(asRun(newest).status) ? newest : await this.#deletion.hold(newest);
    if (run !== newest) this.#remember(cached, run);

    const { clock, reports, plan: options } = this.#options;
    const now = clock.date();
    const observed = asObserved(children, reports(uid));
    const planned = planKubernetes({ run: asRun(run), observed, now, options });
    const hasStreams = await this.#ensureStreams(run, planned);
    // Trainers that hear of others publish weights: there is room for them now.
    this.#tell(run, planned);
    const obstacle = await this.#apply(run, planned, children);
    const plan = obstacle ? aroundObstacle(run, planned, obstacle, now) : planned;
    const waits = [
      plan.requeueAfterSeconds,
      hasStreams ? undefined : STREAMS_AGAIN,
      await this.#writeStatus(cached, run, plan, children),
    ].filter((wait) => wait !== undefined);
    // The queue tries again ever more slowly: nobody tells when the API server would take it.
    if (obstacle instanceof RefusedError) throw obstacle.cause;
    return waits.length > 0 ? Math.min(...waits, LOOK_AGAIN_MAX) : undefined;
  }

  /** The run as our last write left it, while the cache is behind; else a status would be made twice. */
  #newest(cached: RunObject): RunObject {
    const { uid = '', resourceVersion } = cached.metadata;
    const written = this.#written.get(uid);
    if (written?.over.has(resourceVersion)) return written.run;
    this.#written.delete(uid); // the cache has caught up
    return cached;
  }

  #remember({ metadata: { uid = '', resourceVersion } }: RunObject, run: RunObject): void {
    const before = this.#written.get(uid);
    // The cache is to show each of our writes in turn.
    const over = before?.over.has(resourceVersion)
      ? before.over.add(before.run.metadata.resourceVersion)
      : new Set([resourceVersion]);
    this.#written.set(uid, { over, run });
  }

  /** Has the trainers told what they must know; those of a finished run have ended, or are being ended. */
  #tell(run: RunObject, { released, status }: KubernetesPlan): void {
    const { uid = '' } = run.metadata;
    if (isFinished(asRun(run).status)) this.#told.delete(uid);
    else {
      const modules = (status.modules ?? []).map(({ name, replicas }) => ({ name, replicas }));
      this.#told.set(uid, { run: asRun(run), released, modules });
    }
  }

  /** Whether there is nothing left to do about them. */
  async #ensureStreams(run: RunObject, { streams }: KubernetesPlan): Promise<boolean> {
    if (streams !== null) return this.#streams.ensure(run, streams);
    await this.#streams.delete(run);
    return true;
  }

  /** Deletes and applies as planned, up to the first object that cannot be made; resolves with what is in its way. */
  async #apply(
    run: RunObject,
    { credentials, remove, apply }: KubernetesPlan,
    children: Children,
  ): Promise<NameTakenError | RefusedError | undefined> {
    const { applier, client } = this.#options;
    const observed = [...children.modules, ...children.jobs, ...children.configMaps].filter(
      (object) => controllerOf(object)?.uid === run.metadata.uid,
    );
    for (const { kind, namespace, name, uid } of remove) {
      await client.delete(resourceOf(kind), namespace, name, uid);
    }
    try {
      if (credentials) {
        await orRefused(credentials.secret, this.#options.credentials.ensure(credentials));
      }
      const applyOne = (object: KubeObject): Promise<unknown> => {
        const there = observed.find(
          ({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name,
        );
        return orRefused(object, applier.apply(resourceOf(object.kind), object, there));
      };
      // Pods mount their ConfigMaps, so Jobs come last; what else there is can be made at once.
      const objects = asObjects(apply);
      const isJob = ({ kind }: KubeObject) => kind === JOBS.kind;
      for (const atOnce of [objects.filter((object) => !isJob(object)), objects.filter(isJob)]) {
        const applied = await Promise.allSettled(atOnce.map(applyOne));
        const failed = applied.find(({ status }) => status === 'rejected');
        if (failed) throw (failed as PromiseRejectedResult).reason;
      }
    } catch (error) {
      if (error instanceof NameTakenError || error instanceof RefusedError) return error;
      throw error;
    }
    return undefined;
  }

  /** Writes status and then events; resolves with the seconds to wait if it is too early to write. */
  async #writeStatus(
    cached: RunObject,
    run: RunObject,
    plan: KubernetesPlan,
    { modules }: Children,
  ): Promise<number | undefined> {
    const { applier, recorder, clock } = this.#options;
    const { uid = '' } = run.metadata;
    const before = run.status ?? {};
    if (!isDeepStrictEqual(before, plan.status)) {
      const since = (clock.now() - (this.#statusAt.get(uid) ?? Number.NEGATIVE_INFINITY)) / 1000;
      if (!isUrgent(before, plan.status) && since < STATUS_EVERY) return STATUS_EVERY - since;
      const { object } = await applier.applyStatus(RUNS, run, plan.status);
      this.#statusAt.set(uid, clock.now());
      this.#remember(cached, object);
      for (const event of plan.events) recorder.record(run, asNote(event));
    }
    for (const [name, status] of plan.moduleStatus) {
      const module = modules.find(({ metadata }) => metadata.name === name);
      if (module) await applier.applyStatus(MODULES, module as ModuleObject, status);
    }
    return undefined;
  }
}

function resourceOf(kind: string | undefined): Resource {
  const resource = RESOURCES.get(kind);
  if (resource) return resource;
  throw new TypeError(`the plan holds a ${kind}, which nobody applies or deletes`);
}

/** What is left of a plan when an object of it cannot be made. */
function aroundObstacle(
  run: RunObject,
  plan: KubernetesPlan,
  obstacle: NameTakenError | RefusedError,
  now: Date,
): KubernetesPlan {
  const { kind, object: name } = obstacle;
  if (obstacle instanceof RefusedError) {
    return withRefused(asRun(run), plan, { kind, name, why: obstacle.cause.said }, now);
  }
  const { owner } = obstacle;
  return withNameTaken(asRun(run), plan, { kind, name, ...(owner && { owner }) }, now);
}
