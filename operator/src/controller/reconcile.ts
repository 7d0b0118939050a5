import { isDeepStrictEqual } from 'node:util';
import type { RunId } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import type { Client } from '../kube/client.ts';
import { type Clock, systemClock } from '../kube/clock.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import {
  type KubeObject,
  keyOf,
  MODULES,
  type ModuleObject,
  RUNS,
  type RunObject,
} from '../kube/resource.ts';
import type { Applier, NameTakenError } from '../kube/server-side-apply.ts';
import { together } from '../kube/settle-all.ts';
import type { NatsTenants } from '../nats/tenants.ts';
import { scaleUndone } from '../plan/kubernetes/children.ts';
import { REASONS } from '../plan/kubernetes/names.ts';
import { childName } from '../plan/kubernetes/objects.ts';
import { withNameTaken, withRefused } from '../plan/kubernetes/obstacles.ts';
import { isOurs, planKubernetes } from '../plan/kubernetes/plan.ts';
import { isFinished, isUrgent } from '../plan/kubernetes/status.ts';
import type { Cause, KubernetesPlan, Observed, PlanOptions } from '../plan/kubernetes/types.ts';
import { carryOut, withWritten } from './apply-plan.ts';
import type { Children } from './caches.ts';
import { asNote, asObserved, asRun } from './planner-types.ts';
import { RefusedError } from './refused.ts';
import { RunCleanup } from './run-cleanup.ts';
import type { RunCredentials } from './run-credentials.ts';
import { RunStreams } from './run-streams.ts';

/** Executes the plan of one run: streams, objects, status, then events. */

/** Seconds between writes of a status in which only figures have changed. */
const STATUS_EVERY = 5;
/** Seconds until streams that could not be ensured are tried again. */
const STREAMS_AGAIN = 1;
/** Seconds until streams are tried again for which NATS has no room. */
const ROOM_AGAIN = 10;
/** Maximum plan/apply rounds per reconcile. The second round mostly finds nothing to do. */
const ROUNDS = 3;
/**
 * Maximum seconds between checks of a time to live or a deadline, because the system clock may be set
 * meanwhile.
 */
const LOOK_AGAIN_MAX = 600;

export interface ReconcilerOptions {
  client: Client;
  applier: Applier;
  recorder: EventRecorder;
  nats: NatsTenants;
  /** Returns why NATS cannot be used for the runs of a namespace; undefined if it can. */
  natsProblem?: (namespace: string) => Cause | undefined;
  /** Returns the newest reports of the run with that uid. */
  reports: (uid: string) => Observed['reports'];
  plan: PlanOptions;
  credentials: RunCredentials;
  log: Logger;
  /** Returns the globally unique name of this operator, noted on its streams; undefined until it leads. */
  operator: () => string | undefined;
  /** Called when streams that no run needs could not be deleted. */
  onStreamsLeft: () => void;
  /** Reports whether other runs are waiting in the queue. */
  isBusy: () => boolean;
  clock?: Clock;
}

/** Content of the control messages to the trainers of a run. */
export interface Told {
  run: RunId;
  /** Modules whose trainers may end. */
  released: string[];
  /** Desired number of trainers per module. */
  modules: { name: string; replicas: number }[];
}

export class Reconciler {
  readonly #options: ReconcilerOptions & { clock: Clock };
  readonly #streams: RunStreams;
  readonly #cleanup: RunCleanup;
  /** Time of the last status write, by uid of the run. */
  readonly #statusAt = new Map<string, number>();
  /**
   * Result of our last write of a run, and the older versions that the cache may still hold; by uid of the
   * run.
   */
  readonly #written = new Map<string, { over: Set<string | undefined>; run: RunObject }>();
  /** Control messages, by uid of the run. */
  readonly #told = new Map<string, Told>();
  /** Uids of runs that let other runs go first. */
  readonly #deferred = new Set<string>();

  constructor(options: ReconcilerOptions) {
    this.#options = { clock: systemClock, ...options };
    this.#streams = new RunStreams({ ...options, onLeft: options.onStreamsLeft });
    this.#cleanup = new RunCleanup(options);
  }

  /** Returns the control messages of every run that has trainers. */
  told(): Iterable<Told> {
    return this.#told.values();
  }

  /** Number of entries that are kept of runs. */
  get size(): number {
    const own = [this.#statusAt, this.#written, this.#told, this.#deferred];
    const { credentials } = this.#options;
    return own.reduce((sum, { size }) => sum + size, this.#streams.size + credentials.size);
  }

  /**
   * Returns the control message for the trainers of that run; undefined if it has none, or if the uid belongs
   * to another run.
   */
  toldOf({ namespace, name, uid }: RunId): Told | undefined {
    const told = this.#told.get(uid);
    return told?.run.namespace === namespace && told.run.name === name ? told : undefined;
  }

  forget(uid: string): void {
    this.#statusAt.delete(uid);
    this.#told.delete(uid);
    this.#deferred.delete(uid);
    this.#written.delete(uid);
    this.#streams.forget(uid);
    this.#options.credentials.forget(uid);
  }

  /** Marks the streams of a namespace, or of all, unverified, as after a new connection to NATS. */
  markStreamsUnverified(namespace?: string): void {
    this.#streams.markUnverified(namespace);
  }

  /** Notes the streams of a run whose deletion the cache has just observed; `gone` deletes them. */
  noteDeleted(run: RunObject): void {
    if (isOurs(asRun(run))) {
      this.#streams.noteDeleted(run);
      this.#options.credentials.revoke(run);
    }
    this.forget(run.metadata.uid ?? '');
  }

  /** Cleans up after runs of that key. Resolves with the seconds until the next check. */
  async gone(key: string, children: Children): Promise<number | undefined> {
    await this.#streams.deleteLeft(key);
    return this.#cleanup.startFormer(children);
  }

  /**
   * Brings the cluster and NATS to the state that the run asks for. Resolves with the seconds until the next
   * reconcile.
   * @throws ApiError, UnreachableError, to be retried
   */
  async reconcile(cached: RunObject, children: Children): Promise<number | undefined> {
    const newest = this.#newest(cached);
    const { uid = '', deletionTimestamp } = newest.metadata;
    await this.#streams.deleteLeft(keyOf(newest), uid);
    if (!isOurs(asRun(newest))) return undefined;
    const cleanupWait = await this.#cleanup.startFormer(children, newest);
    if (deletionTimestamp !== undefined) {
      this.#told.delete(uid);
      // A finalizer of another controller may keep the run for long.
      await this.#streams.delete(newest);
      await this.#cleanup.release(newest, children);
      return cleanupWait;
    }
    const { clock } = this.#options;
    const now = clock.date();
    const done = await this.#carryOut(newest, children, now);
    const run = await this.#cleanup.release(newest, done.children);
    if (run !== newest) this.#remember(cached, run);
    if (done.isDeferred) return 0;
    const { obstacle } = done;
    const plan = obstacle ? aroundObstacle(run, done.plan, obstacle, now) : done.plan;
    const waits = [
      plan.requeueAfterSeconds,
      done.settled ? undefined : 0,
      streamsAgain(done.streamsCause),
      this.#options.credentials.renewAfterSeconds(uid),
      cleanupWait,
      await this.#writeStatus(cached, run, plan, done.children),
    ].filter((wait) => wait !== undefined);
    // The queue retries with backoff, because the API server does not notify when it would accept the object.
    if (obstacle instanceof RefusedError) throw obstacle.cause;
    return waits.length > 0 ? Math.min(...waits, LOOK_AGAIN_MAX) : undefined;
  }

  /** Plans and executes the plan until nothing is left to do. */
  async #carryOut(before: RunObject, observed: Children, now: Date) {
    const { reports, plan: options } = this.#options;
    const { uid = '' } = before.metadata;
    const run = asRun(before);
    let children = observed;
    for (let round = 1; ; round++) {
      const nats =
        this.#options.natsProblem?.(run.metadata.namespace) ?? this.#streams.limitOf(uid);
      const seen = { ...asObserved(children, reports(uid)), ...(nats && { nats }) };
      const input = { run, observed: seen, now, options };
      const plan = planKubernetes(input);
      const streams = this.#ensureStreams(before, plan);
      // Trainers that know of their peers publish weights, so the streams must have room for them first.
      const told = streams.then(() => this.#tell(before, plan, children));
      const { written, undone, obstacle } = await carryOut(
        this.#options,
        before,
        plan,
        children,
        told,
      );
      this.#tellUndone(before, undone);
      children = withWritten(children, written);
      const settled = written.length === 0 || obstacle !== undefined;
      const isDeferred = !settled && this.#defers(uid);
      if (settled || isDeferred || round === ROUNDS) {
        const streamsCause = await streams;
        return { plan, children, obstacle, settled, isDeferred, streamsCause };
      }
    }
  }

  /** Records on run and module that a user scaled a module whose number of replicas the run sets. */
  #tellUndone(run: RunObject, undone: readonly KubeObject[]): void {
    for (const object of undone) {
      const event = scaleUndone(asRun(run), object as ModuleObject);
      if (event === undefined) continue;
      for (const about of [run, object]) this.#options.recorder.record(about, asNote(event));
    }
  }

  /**
   * Reports whether to defer the status write. When many runs arrive at once, all get their Jobs before any
   * status is written; each run is deferred only once.
   */
  #defers(uid: string): boolean {
    if (this.#deferred.delete(uid) || !this.#options.isBusy()) return false;
    this.#deferred.add(uid);
    return true;
  }

  /**
   * Returns the run as our last write left it while the cache is behind. Otherwise a status would be computed
   * twice.
   */
  #newest(cached: RunObject): RunObject {
    const { uid = '', resourceVersion } = cached.metadata;
    const written = this.#written.get(uid);
    if (written?.over.has(resourceVersion)) return written.run;
    this.#written.delete(uid); // the cache has caught up
    return cached;
  }

  #remember({ metadata: { uid = '', resourceVersion } }: RunObject, run: RunObject): void {
    const before = this.#written.get(uid);
    // The cache will show each of our writes in order.
    const over = before?.over.has(resourceVersion)
      ? before.over.add(before.run.metadata.resourceVersion)
      : new Set([resourceVersion]);
    this.#written.set(uid, { over, run });
  }

  /**
   * Sets the control message if trainers exist. None is kept for runs without trainers, as thousands may be
   * idle.
   */
  #tell(run: RunObject, { released, status }: KubernetesPlan, { pods }: Children): void {
    const { namespace = '', name, uid = '' } = run.metadata;
    if (isFinished(asRun(run).status) || pods.length === 0) this.#told.delete(uid);
    else {
      const modules = (status.modules ?? []).map(({ name, replicas }) => ({ name, replicas }));
      this.#told.set(uid, { run: { namespace, name, uid }, released, modules });
    }
  }

  /** Resolves with the cause if the streams are not as planned. */
  async #ensureStreams(run: RunObject, { streams }: KubernetesPlan): Promise<Cause | undefined> {
    if (streams !== null) return this.#streams.ensure(run, streams);
    await this.#streams.delete(run);
    if (isFinished(asRun(run).status)) this.#options.credentials.revoke(run);
    return undefined;
  }

  /** Writes status and then events. Resolves with the seconds to wait if it is too early to write. */
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
      for (const event of plan.events) {
        recorder.record(run, asNote(event));
        const { module } = event;
        const object =
          module &&
          modules.find(
            ({ metadata }) => metadata.name === childName(run.metadata.name, module.name),
          );
        if (object) recorder.record(object, asNote({ ...event, message: module.message }));
      }
    }
    await together(
      modules.map(async (module) => {
        const status = plan.moduleStatus.get(module.metadata.name);
        if (status) await applier.applyStatus(MODULES, module as ModuleObject, status);
      }),
    );
    return undefined;
  }
}

/** Returns the seconds until the streams are checked again. */
function streamsAgain(cause: Cause | undefined): number | undefined {
  if (cause === undefined) return undefined;
  return cause.reason === REASONS.natsLimit ? ROOM_AGAIN : STREAMS_AGAIN;
}

/** Returns the part of a plan that remains when one of its objects cannot be written. */
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
