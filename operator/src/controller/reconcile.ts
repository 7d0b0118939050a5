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

/** Carries out the plan of one run: streams, objects, status, then events. */

/** Seconds between writes of a status in which only figures have changed. */
const STATUS_EVERY = 5;
/** Seconds until streams are looked after again that could not be. */
const STREAMS_AGAIN = 1;
/** The same where NATS has no room for them. */
const ROOM_AGAIN = 10;
/** Plans that are carried out in a row, each with what the one before came to; mostly the second finds nothing to do. */
const ROUNDS = 3;
/** A time to live or a deadline is looked at so often at least: the system's date may be set meanwhile. */
const LOOK_AGAIN_MAX = 600;

export interface ReconcilerOptions {
  client: Client;
  applier: Applier;
  recorder: EventRecorder;
  nats: NatsTenants;
  /** Why NATS cannot be used for the runs of a namespace; undefined if it can. */
  natsProblem?: (namespace: string) => Cause | undefined;
  /** The newest reports of the run with that uid. */
  reports: (uid: string) => Observed['reports'];
  plan: PlanOptions;
  credentials: RunCredentials;
  log: Logger;
  /** Name of this operator in the whole world, for its streams; undefined until it leads. */
  operator: () => string | undefined;
  /** Called when streams that nobody needs could not be deleted. */
  onStreamsLeft: () => void;
  /** Whether other runs wait for their turn. */
  isBusy: () => boolean;
  clock?: Clock;
}

/** What the trainers of a run are told. */
export interface Told {
  run: RunId;
  /** Modules whose trainers may end. */
  released: string[];
  /** How many trainers each should have. */
  modules: { name: string; replicas: number }[];
}

export class Reconciler {
  readonly #options: ReconcilerOptions & { clock: Clock };
  readonly #streams: RunStreams;
  readonly #cleanup: RunCleanup;
  /** When the status was last written, by uid of the run. */
  readonly #statusAt = new Map<string, number>();
  /** What our last write made of a run, and the versions that it came after and the cache may still show; by uid. */
  readonly #written = new Map<string, { over: Set<string | undefined>; run: RunObject }>();
  /** By uid of the run. */
  readonly #told = new Map<string, Told>();
  /** Uids of runs that let others go first. */
  readonly #deferred = new Set<string>();

  constructor(options: ReconcilerOptions) {
    this.#options = { clock: systemClock, ...options };
    this.#streams = new RunStreams({ ...options, onLeft: options.onStreamsLeft });
    this.#cleanup = new RunCleanup(options);
  }

  /** Of every run whose trainers must be told. */
  told(): Iterable<Told> {
    return this.#told.values();
  }

  /** Number of entries that are kept of runs. */
  get size(): number {
    const own = [this.#statusAt, this.#written, this.#told, this.#deferred];
    const { credentials } = this.#options;
    return own.reduce((sum, { size }) => sum + size, this.#streams.size + credentials.size);
  }

  /** What the trainers of that run are told; undefined if it has none, and if the uid is of another run. */
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

  /** Notes the streams of a run whose deletion the cache has just seen; `gone` deletes them. */
  noteDeleted(run: RunObject): void {
    if (isOurs(asRun(run))) {
      this.#streams.noteDeleted(run);
      this.#options.credentials.revoke(run);
    }
    this.forget(run.metadata.uid ?? '');
  }

  /** Cleans up after runs of that key; resolves with the seconds after which to look again. */
  async gone(key: string, children: Children): Promise<number | undefined> {
    await this.#streams.deleteLeft(key);
    return this.#cleanup.startFormer(children);
  }

  /**
   * Brings the world to what the run asks for; resolves with the seconds after which to look again.
   * @throws ApiError, UnreachableError, to be tried again
   */
  async reconcile(cached: RunObject, children: Children): Promise<number | undefined> {
    const newest = this.#newest(cached);
    const { uid = '', deletionTimestamp } = newest.metadata;
    await this.#streams.deleteLeft(keyOf(newest), uid);
    if (!isOurs(asRun(newest))) return undefined;
    const cleanupWait = await this.#cleanup.startFormer(children, newest);
    if (deletionTimestamp !== undefined) {
      this.#told.delete(uid);
      // A finalizer of others may keep the run for long.
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
    // The queue tries again ever more slowly: nobody tells when the API server would take it.
    if (obstacle instanceof RefusedError) throw obstacle.cause;
    return waits.length > 0 ? Math.min(...waits, LOOK_AGAIN_MAX) : undefined;
  }

  /** Plans and does as planned, until there is nothing left to do. */
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
      // Trainers that hear of others publish weights: there is room for them now.
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

  /** Tells run and module that somebody scaled a module whose number of replicas the run sets. */
  #tellUndone(run: RunObject, undone: readonly KubeObject[]): void {
    for (const object of undone) {
      const event = scaleUndone(asRun(run), object as ModuleObject);
      if (event === undefined) continue;
      for (const about of [run, object]) this.#options.recorder.record(about, asNote(event));
    }
  }

  /** When many runs come at once, all get their Jobs before the status of any is written: but each waits once only. */
  #defers(uid: string): boolean {
    if (this.#deferred.delete(uid) || !this.#options.isBusy()) return false;
    this.#deferred.add(uid);
    return true;
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

  /** Has the trainers told what they must know: those that there are, as no run of thousands at rest has any. */
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

/** Seconds until the streams are looked after again. */
function streamsAgain(cause: Cause | undefined): number | undefined {
  if (cause === undefined) return undefined;
  return cause.reason === REASONS.natsLimit ? ROOM_AGAIN : STREAMS_AGAIN;
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
