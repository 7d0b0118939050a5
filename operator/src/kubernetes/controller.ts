import { LABELS } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { Signer } from '../nats/auth/signer.ts';
import { type StreamOwner, sweepStreams } from '../nats/sweep.ts';
import { isFinished } from '../plan/kubernetes/status.ts';
import type { Cause, PlanOptions } from '../plan/kubernetes/types.ts';
import { Applier } from './apply.ts';
import type { Client } from './client.ts';
import { RunCredentials } from './credentials.ts';
import { EventRecorder } from './events.ts';
import type { Metrics } from './metrics.ts';
import { NamespacesInformer } from './namespaces.ts';
import { WorkQueue } from './queue.ts';
import { type Children, Reconciler } from './reconcile.ts';
import {
  CONFIG_MAPS,
  JOBS,
  type KubeObject,
  keyOf,
  MODULES,
  PODS,
  type Resource,
  RUNS,
} from './resource.ts';
import { publishControl, TrainerReports } from './trainer-reports.ts';

/** Milliseconds between two messages to the trainers of a run. */
const CONTROL_EVERY = 1000;
/** Milliseconds after which new figures of a run are looked at. */
const FIGURES_AFTER = 5000;
/** Milliseconds between two looks for streams that nobody needs, and when one failed or some were left. */
const SWEEP_EVERY = 300_000;
const SWEEP_SOON = 10_000;

/** An event of the core API, as far as it is read: why a Job cannot make its pods, say. */
interface CoreEvent extends KubeObject {
  reason?: string;
  message?: string;
  involvedObject?: { kind?: string; name?: string; namespace?: string };
}
const WARNINGS: Resource<CoreEvent> = { apiVersion: 'v1', kind: 'Event', plural: 'events' };

export interface ControllerOptions {
  client: Client;
  /** Default: all namespaces. */
  namespaces?: readonly string[];
  plan: PlanOptions;
  /** Makes the users that `plan.natsSecret` asks for. */
  signer: Signer | null;
  concurrency: number;
  identity: string;
  log: Logger;
  metrics: Metrics;
}

/** Watches all that belongs to runs and reconciles each run when something of it changes. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #runs;
  readonly #modules;
  readonly #jobs;
  readonly #configMaps;
  readonly #pods;
  readonly #warnings;
  readonly #recorder: EventRecorder;
  readonly #reconciler: Reconciler;
  readonly #queue: WorkQueue;
  readonly #applier: Applier;
  /** Name of this operator in the whole world, while it leads. */
  #leading: string | undefined;
  #nextSweep: NodeJS.Timeout | undefined;
  #nats: NatsConnection | null = null;
  #reports: TrainerReports | null = null;

  constructor(options: ControllerOptions) {
    const { client, namespaces, log, concurrency, metrics } = options;
    this.#options = options;
    this.#applier = new Applier(client);
    const ofRuns = { log, labelSelector: LABELS.run };
    this.#runs = new NamespacesInformer(client, RUNS, namespaces, { log });
    this.#modules = new NamespacesInformer(client, MODULES, namespaces, { log });
    this.#jobs = new NamespacesInformer(client, JOBS, namespaces, ofRuns);
    this.#configMaps = new NamespacesInformer(client, CONFIG_MAPS, namespaces, ofRuns);
    this.#pods = new NamespacesInformer(client, PODS, namespaces, ofRuns);
    this.#warnings = new NamespacesInformer(client, WARNINGS, namespaces, {
      log,
      fieldSelector: 'type=Warning',
    });
    this.#recorder = new EventRecorder(client, {
      controller: 'greedyinfomax.dev/operator',
      instance: options.identity,
      log,
    });
    this.#reconciler = new Reconciler({
      client,
      applier: this.#applier,
      recorder: this.#recorder,
      nats: () => this.#nats,
      reports: (uid) => this.#reports?.of(uid) ?? [],
      plan: options.plan,
      credentials: new RunCredentials(client, options.signer),
      log,
      operator: () => this.#leading,
      onStreamsLeft: () => this.#sweepIn(SWEEP_SOON),
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

  /** Whether all caches are filled. */
  get synced(): boolean {
    return this.#informers().every((informer) => informer.synced);
  }

  /** Fills the caches and keeps them fresh; does nothing else, so a standby may run it. */
  async watch(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers().map((informer) => informer.run(signal)));
  }

  /** From now on, also again after a new connection: streams in memory are gone with the old server. */
  useNats(connection: NatsConnection): void {
    this.#nats = connection;
    this.#reports = new TrainerReports(connection, ({ namespace, name }, isTransition) => {
      const key = `${namespace}/${name}`;
      if (isTransition) this.#queue.add(key);
      else this.#queue.addAfter(key, FIGURES_AFTER);
    });
    void (async () => {
      for await (const { type } of connection.status()) {
        if (type === 'reconnect') this.#natsIsBack();
      }
    })();
    this.#natsIsBack();
  }

  /**
   * Acts until `signal` is aborted. Only the leader may call it. `operator` names it in the whole world:
   * the same after a restart, another on another cluster.
   */
  async lead(operator: string, signal: AbortSignal): Promise<void> {
    const stopped = new Promise((resolve) =>
      signal.addEventListener('abort', resolve, { once: true }),
    );
    const synced = Promise.all(this.#informers().map((informer) => informer.whenSynced()));
    await Promise.race([synced, stopped]);
    if (signal.aborted) return;
    this.#leading = operator;
    this.#runs.onChange((change, run) => {
      this.#queue.add(keyOf(run));
      if (change === 'deleted') this.#forget(run);
    });
    for (const informer of [this.#modules, this.#jobs, this.#configMaps, this.#pods]) {
      (informer as NamespacesInformer<KubeObject>).onChange((change, object) => {
        this.#addOwner(object);
        if (change === 'deleted') this.#applier.forget(object);
      });
    }
    this.#warnings.onChange((_, { involvedObject }) => {
      const key = `${involvedObject?.namespace}/${involvedObject?.name}`;
      const child = this.#pods.get(key) ?? this.#jobs.get(key);
      if (child) this.#addOwner(child);
    });
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

  #informers = () => [
    this.#runs,
    this.#modules,
    this.#jobs,
    this.#configMaps,
    this.#pods,
    this.#warnings,
  ];

  /** Streams in memory are gone with a server that ended; runs deleted meanwhile have left theirs. */
  #natsIsBack(): void {
    for (const run of this.#runs.list()) this.#queue.add(keyOf(run));
    this.#sweepIn(0);
  }

  #sweepIn(milliseconds: number): void {
    clearTimeout(this.#nextSweep);
    if (this.#leading !== undefined) {
      this.#nextSweep = setTimeout(() => void this.#sweep(), milliseconds);
    }
  }

  async #sweep(): Promise<void> {
    const { log } = this.#options;
    if (this.#nats === null || this.#leading === undefined) return;
    try {
      const swept = await sweepStreams(this.#nats, this.#leading, (owner) =>
        this.#needsStreams(owner),
      );
      if (swept.length > 0) log.info({ swept }, 'deleted streams that runs have left behind');
      // A run of the same name may have been made this very moment.
      for (const { namespace, run } of swept) this.#queue.add(`${namespace}/${run}`);
      this.#sweepIn(SWEEP_EVERY);
    } catch (error) {
      log.warn({ err: error }, 'cannot look for streams left behind');
      this.#sweepIn(SWEEP_SOON);
    }
  }

  /** By the API server's own word: this cache may lag behind what an earlier leader has done. */
  async #needsStreams({ namespace, run }: StreamOwner): Promise<boolean> {
    const cached = this.#runs.get(`${namespace}/${run}`);
    if (cached && !isFinished(cached.status as never)) return true;
    const there = await this.#options.client.get(RUNS, namespace, run);
    return there !== undefined && !isFinished(there.status as never);
  }

  #addOwner({ metadata: { namespace, labels, ownerReferences } }: KubeObject): void {
    const run =
      labels?.[LABELS.run] ?? ownerReferences?.find(({ kind }) => kind === RUNS.kind)?.name;
    if (run) this.#queue.add(`${namespace}/${run}`);
  }

  #tellTrainers(): void {
    if (this.#nats === null || this.#nats.isClosed()) return;
    for (const { run, modules } of this.#reconciler.released()) {
      publishControl(this.#nats, run.metadata, modules);
    }
  }

  /** Runs by phase, and how the modules of those at work train. */
  #showRuns(): void {
    const byPhase: Record<string, number> = {};
    for (const { metadata, status } of this.#runs.list()) {
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

  #forget(run: KubeObject): void {
    const { namespace = '', name, uid = '' } = run.metadata;
    this.#applier.forget(run);
    this.#reconciler.forget(uid);
    this.#reports?.forget(uid);
    this.#options.metrics.forgetRun(namespace, name);
  }

  async #reconcile(key: string): Promise<{ afterSeconds: number } | undefined> {
    const run = this.#runs.get(key);
    if (!run) {
      this.#queue.forget(key);
      return undefined;
    }
    const afterSeconds = await this.#reconciler.reconcile(run, this.#childrenOf(key));
    return afterSeconds === undefined ? undefined : { afterSeconds };
  }

  #childrenOf(key: string): Children {
    const mine = <T extends KubeObject>(informer: NamespacesInformer<T>): KubeObject[] =>
      informer
        .list()
        .filter(
          ({ metadata: { namespace, labels } }) => `${namespace}/${labels?.[LABELS.run]}` === key,
        );
    return {
      modules: mine(this.#modules),
      jobs: mine(this.#jobs),
      configMaps: mine(this.#configMaps),
      pods: mine(this.#pods),
      warnings: this.#warningsOf(key.split('/')[0] ?? ''),
    };
  }

  /** The newest warning about each object of a namespace. */
  #warningsOf(namespace: string): Map<string, Cause> {
    return new Map(
      this.#warnings
        .list()
        .filter(({ involvedObject }) => involvedObject?.namespace === namespace)
        .map(({ involvedObject, reason = '', message = '' }) => [
          `${involvedObject?.kind}/${involvedObject?.name}`,
          { reason, message },
        ]),
    );
  }
}
