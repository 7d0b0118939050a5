import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Client } from '../kube/client.ts';
import { EventRecorder } from '../kube/event-recorder.ts';
import { keyOf, RUNS, type RunObject } from '../kube/resource.ts';
import { Applier } from '../kube/server-side-apply.ts';
import { WorkQueue } from '../kube/work-queue.ts';
import { type LeftBehind, sweepStreams } from '../nats/sweep.ts';
import type { NatsTenants } from '../nats/tenants.ts';
import { natsAway } from '../plan/kubernetes/nats-away.ts';
import { isFinished } from '../plan/kubernetes/status.ts';
import type { Cause, PlanOptions } from '../plan/kubernetes/types.ts';
import { Caches } from './caches.ts';
import type { Metrics } from './metrics.ts';
import { Reconciler } from './reconcile.ts';
import { RunCredentials } from './run-credentials.ts';
import { publishControl, TrainerReports } from './trainer-reports.ts';

/** Milliseconds between two messages to the trainers of a run. */
const CONTROL_EVERY = 1000;
/** Milliseconds after which new figures of a run trigger a reconcile. */
const FIGURES_AFTER = 5000;
/** Milliseconds without NATS after which runs report it. */
const NATS_AWAY_AFTER = 5000;
/**
 * Milliseconds between two sweeps for streams that no run needs: normally, and after one failed or left some.
 */
const SWEEP_EVERY = 300_000;
const SWEEP_SOON = 10_000;

/** Seconds between checks whether a run still belongs to another operator. */
const LEFT_ALONE_SECONDS = 30;

export interface ControllerOptions {
  client: Client;
  /** Namespaces to watch. Default: all namespaces. */
  namespaces?: readonly string[];
  plan: PlanOptions;
  nats: NatsTenants;
  /** Reports whether another operator manages the runs of a namespace. Default: none. */
  leavesAlone?: (namespace: string) => boolean;
  concurrency: number;
  identity: string;
  log: Logger;
  metrics: Metrics;
}

/** Watches runs and the objects that belong to them, and reconciles each run when one of them changes. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #caches: Caches;
  readonly #recorder: EventRecorder;
  readonly #reconciler: Reconciler;
  readonly #queue: WorkQueue;
  readonly #applier: Applier;
  /** Globally unique name of this operator while it leads. */
  #leading: string | undefined;
  #nextSweep: NodeJS.Timeout | undefined;
  /** Resolves when the next reconcile may begin. */
  #turn: Promise<void> = Promise.resolve();
  /** True if runs changed since the metrics were last updated. */
  #isNews = true;
  readonly #reports: TrainerReports;
  /** True if the next sweep also visits accounts of namespaces without runs. */
  #sweepsAll = true;
  /** Time since which there is no connection to NATS; undefined while connected. */
  #natsAwaySince: Date | undefined = new Date();

  constructor(options: ControllerOptions) {
    const { client, namespaces, log, concurrency, metrics } = options;
    this.#options = options;
    this.#applier = new Applier(client);
    this.#caches = new Caches(client, namespaces, log);
    this.#recorder = new EventRecorder(client, {
      controller: 'greedyinfomax.dev/operator',
      instance: options.identity,
      log,
    });
    this.#reports = new TrainerReports(
      ({ namespace, name }, isTransition) => {
        const key = `${namespace}/${name}`;
        if (isTransition) this.#queue.add(key);
        else this.#queue.addAfter(key, FIGURES_AFTER);
      },
      (run) => this.#reconciler.toldOf(run)?.modules,
      (reason) => metrics.countDroppedReport(reason),
    );
    this.#reconciler = new Reconciler({
      client,
      applier: this.#applier,
      recorder: this.#recorder,
      nats: options.nats,
      natsProblem: () => this.#natsProblem(),
      reports: (uid) => this.#reports.of(uid),
      plan: options.plan,
      credentials: new RunCredentials(client, options.nats),
      log,
      operator: () => this.#leading,
      onStreamsLeft: () => this.#sweepIn(SWEEP_SOON),
      isBusy: () => this.#queue.depth > 0,
    });
    this.#queue = new WorkQueue({
      concurrency,
      observer: metrics.observeQueue('greedyinfomaxrun', concurrency),
      backoff: { firstMs: 50, maxMs: 60_000 },
      handle: (key) => this.#reconcile(key),
      onError: (key, error, retryInSeconds) =>
        log.warn({ err: error, key, retryInSeconds }, 'reconcile failed'),
    });
  }

  /** Reports whether all caches are filled. */
  get synced(): boolean {
    return this.#caches.synced;
  }

  /** Globally unique name of this operator; undefined until it leads. */
  get leading(): string | undefined {
    return this.#leading;
  }

  /** Number of entries that are kept of runs, besides the caches; 0 when no run is left. */
  get remembered(): number {
    const { size } = this.#reconciler;
    return size + this.#applier.size + this.#queue.size + this.#reports.size;
  }

  /** Fills the caches and keeps them up to date. It has no other effect, so a standby may run it. */
  async watch(signal: AbortSignal): Promise<void> {
    await this.#caches.watch(signal);
  }

  /** Connects to NATS, and reconnects until `signal` is aborted. */
  connectNats(signal: AbortSignal): void {
    const { nats, metrics } = this.#options;
    nats.start(
      {
        onState: (connected) => {
          metrics.setNatsConnected(connected);
          if (connected) this.#natsAwaySince = undefined;
          else this.#natsIsAway();
        },
        onConnected: (connection, namespace, isNew) => {
          if (isNew) this.#reports.listen(connection, namespace);
          this.#natsIsBack(namespace);
        },
      },
      signal,
    );
  }

  /**
   * Reconciles until `signal` is aborted. Only the leader may call it. `operator` is its globally unique name:
   * the same after a restart, different on another cluster.
   */
  async lead(operator: string, signal: AbortSignal): Promise<void> {
    const stopped = new Promise((resolve) =>
      signal.addEventListener('abort', resolve, { once: true }),
    );
    await Promise.race([this.#caches.whenSynced(), stopped]);
    if (signal.aborted) return;
    this.#leading = operator;
    if (this.#natsAwaySince) this.#lookSoonForNats();
    this.#caches.runs.onChange((change, run) => {
      this.#isNews = true;
      if (isFinished(run.status as never)) this.#reports?.forget(run.metadata.uid ?? '');
      if (change === 'deleted') this.#forget(run);
      this.#queue.add(keyOf(run));
    });
    this.#caches.onChildChange((run, change, object) => {
      if (change === 'deleted') this.#applier.forget(object);
      // A reconcile already takes its own writes into account.
      else if (this.#applier.isOwn(object)) return;
      this.#queue.add(run);
    });
    this.#caches.onWarning((run) => this.#queue.add(run));
    this.#queue.start();
    const control = setInterval(() => {
      this.#tellTrainers();
      this.#showRuns();
    }, CONTROL_EVERY);
    this.#sweepIn(0);
    await stopped;
    clearInterval(control);
    clearTimeout(this.#nextSweep);
    await this.#queue.stop();
    await this.#recorder.flush();
  }

  #natsProblem(): Cause | undefined {
    const since = this.#natsAwaySince;
    if (since === undefined || Date.now() - since.getTime() < NATS_AWAY_AFTER) return undefined;
    return natsAway(since);
  }

  #natsIsAway(): void {
    this.#natsAwaySince ??= new Date();
    this.#lookSoonForNats();
  }

  /** Enqueues all runs to report that NATS is unreachable, unless it is back by then. */
  #lookSoonForNats(): void {
    const timer = setTimeout(() => {
      if (this.#natsAwaySince === undefined) return;
      for (const run of this.#caches.runs.list()) this.#queue.add(keyOf(run));
    }, NATS_AWAY_AFTER + 100);
    timer.unref();
  }

  /**
   * Handles a new connection. A restarted server has lost streams in memory, and runs deleted meanwhile have
   * left theirs.
   */
  #natsIsBack(namespace: string | undefined): void {
    this.#reconciler.markStreamsUnverified(namespace);
    for (const run of this.#caches.runs.list()) {
      if (namespace === undefined || run.metadata.namespace === namespace)
        this.#queue.add(keyOf(run));
    }
    this.#sweepIn(0);
  }

  #sweepIn(milliseconds: number): void {
    clearTimeout(this.#nextSweep);
    if (this.#leading !== undefined) {
      this.#nextSweep = setTimeout(() => void this.#sweep(), milliseconds);
    }
  }

  async #sweep(): Promise<void> {
    const { log, nats } = this.#options;
    if (this.#leading === undefined) return;
    try {
      const namespaces = await nats.namespaces(this.#sweepsAll);
      for (const namespace of namespaces) await this.#sweepOne(namespace, this.#leading);
      this.#sweepsAll = false;
      this.#sweepIn(SWEEP_EVERY);
    } catch (error) {
      log.warn({ err: error }, 'cannot look for streams left behind');
      this.#sweepIn(SWEEP_SOON);
    }
  }

  /** Sweeps one account. `namespace` is undefined if all namespaces share one. */
  async #sweepOne(namespace: string | undefined, operator: string): Promise<void> {
    const { log, nats } = this.#options;
    const connection = await nats.open(namespace ?? '');
    if (connection === null) return;
    const swept = await sweepStreams(connection, operator, (left) => this.#needsStreams(left));
    if (swept.length > 0) log.info({ swept }, 'deleted streams that runs have left behind');
    // A run of the same name may have been created at this moment.
    for (const { namespace: of, run } of swept) this.#queue.add(`${of}/${run}`);
    if (namespace === undefined) return;
    const uids = new Set(this.#caches.runs.list().map(({ metadata }) => metadata.uid));
    await nats.settle(namespace, (uid) => uids.has(uid));
  }

  /** Asks the API server, because this cache may lag behind the writes of an earlier leader. */
  async #needsStreams({ namespace, run, checkpointsOf }: LeftBehind): Promise<boolean> {
    const needs = ({ metadata, status }: RunObject) =>
      checkpointsOf === undefined ? !isFinished(status as never) : metadata.uid === checkpointsOf;
    const cached = this.#caches.runs.get(`${namespace}/${run}`);
    if (cached && needs(cached)) return true;
    const there = await this.#options.client.get(RUNS, namespace, run);
    return there !== undefined && needs(there);
  }

  #tellTrainers(): void {
    for (const { run, released, modules } of this.#reconciler.told()) {
      const connection = this.#options.nats.connection(run.namespace);
      if (connection === null || connection.isClosed()) continue;
      const counts = this.#reports.countsOf(run.uid);
      const teams = modules.map(
        ({ name, replicas }) => [name, { replicas, samples: counts.of(name) }] as const,
      );
      publishControl(connection, run, released, Object.fromEntries(teams));
    }
  }

  /** Updates the metrics: runs by phase, and figures of the modules that are running. */
  #showRuns(): void {
    if (!this.#isNews) return; // thousands of idle runs cost nothing
    this.#isNews = false;
    const byPhase: Record<string, number> = {};
    for (const { metadata, status } of this.#caches.runs.list()) {
      const phase = status?.phase ?? 'Pending';
      byPhase[phase] = (byPhase[phase] ?? 0) + 1;
      const { namespace = '', name } = metadata;
      if (phase === 'Complete' || phase === 'Failed')
        this.#options.metrics.forgetRun(namespace, name);
      else {
        for (const { name: module, stalenessSeconds, ...row } of status?.modules ?? []) {
          const figures = { ...row, stalenessSeconds: stalenessSeconds?.p50 };
          this.#options.metrics.setTraining(namespace, name, module, figures);
        }
      }
    }
    this.#options.metrics.setRuns(byPhase);
  }

  #forget(run: RunObject): void {
    this.#reconciler.noteDeleted(run);
    this.#drop(run);
  }

  #drop(run: RunObject): void {
    const { namespace = '', name, uid = '' } = run.metadata;
    this.#applier.forget(run);
    this.#reconciler.forget(uid);
    this.#reports.forget(uid);
    this.#options.metrics.forgetRun(namespace, name);
  }

  async #reconcile(key: string): Promise<{ afterSeconds: number } | undefined> {
    // Plans are pure computation, so timers and sockets run between two of them.
    this.#turn = this.#turn.then(() => nextTurn());
    await this.#turn;
    const run = this.#caches.runs.get(key);
    if (this.#options.leavesAlone?.(key.slice(0, key.indexOf('/')))) {
      this.#reconciler.forget(run?.metadata.uid ?? '');
      return { afterSeconds: LEFT_ALONE_SECONDS };
    }
    if (!run) {
      this.#queue.forget(key);
    }
    const children = this.#caches.childrenOf(key);
    try {
      const afterSeconds = run
        ? await this.#reconciler.reconcile(run, children)
        : await this.#reconciler.gone(key, children);
      return afterSeconds === undefined ? undefined : { afterSeconds };
    } finally {
      // A run deleted meanwhile was forgotten before the last write of its reconcile.
      const uid = run?.metadata.uid;
      if (run && this.#caches.runs.get(key)?.metadata.uid !== uid) this.#drop(run);
    }
  }
}
