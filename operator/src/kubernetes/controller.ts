import { LABELS } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { Cause, PlanOptions } from '../plan/kubernetes/types.ts';
import { Applier } from './apply.ts';
import type { Client } from './client.ts';
import { EventRecorder } from './events.ts';
import { Informer } from './informer.ts';
import type { Metrics } from './metrics.ts';
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
  namespace?: string;
  plan: PlanOptions;
  concurrency: number;
  identity: string;
  log: Logger;
  metrics: Metrics;
}

/** Watches all that belongs to runs and reconciles each run when something of it changes. */
export class Controller {
  readonly #metrics: Metrics;
  readonly #runs;
  readonly #modules;
  readonly #jobs;
  readonly #configMaps;
  readonly #pods;
  readonly #warnings;
  readonly #recorder: EventRecorder;
  readonly #reconciler: Reconciler;
  readonly #queue: WorkQueue;
  #nats: NatsConnection | null = null;
  #reports: TrainerReports | null = null;

  constructor(options: ControllerOptions) {
    const { client, namespace, log, concurrency, metrics } = options;
    this.#metrics = metrics;
    const ofRuns = { namespace, log, labelSelector: LABELS.run };
    this.#runs = new Informer(client, RUNS, { namespace, log });
    this.#modules = new Informer(client, MODULES, { namespace, log });
    this.#jobs = new Informer(client, JOBS, ofRuns);
    this.#configMaps = new Informer(client, CONFIG_MAPS, ofRuns);
    this.#pods = new Informer(client, PODS, ofRuns);
    this.#warnings = new Informer(client, WARNINGS, {
      namespace,
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
      applier: new Applier(client),
      recorder: this.#recorder,
      nats: () => this.#nats,
      reports: (uid) => this.#reports?.of(uid) ?? [],
      plan: options.plan,
      log,
      now: () => new Date(),
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
        if (type === 'reconnect') this.#addAll();
      }
    })();
  }

  /** Acts until `signal` is aborted. Only the leader may call it. */
  async lead(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers().map((informer) => informer.whenSynced()));
    this.#runs.onChange((change, run) => {
      this.#queue.add(keyOf(run));
      if (change === 'deleted') this.#forget(run);
    });
    for (const informer of [this.#modules, this.#jobs, this.#configMaps, this.#pods]) {
      (informer as Informer<KubeObject>).onChange((_, object) => this.#addOwner(object));
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
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    clearInterval(control);
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

  #addAll(): void {
    for (const run of this.#runs.list()) this.#queue.add(keyOf(run));
  }

  #addOwner({ metadata: { namespace, labels, ownerReferences } }: KubeObject): void {
    const run =
      labels?.[LABELS.run] ?? ownerReferences?.find(({ kind }) => kind === RUNS.kind)?.name;
    if (run) this.#queue.add(`${namespace}/${run}`);
  }

  #tellTrainers(): void {
    if (this.#nats === null || this.#nats.isClosed()) return;
    for (const { run, modules } of this.#reconciler.released()) {
      const { namespace, name } = run.metadata;
      publishControl(this.#nats, { namespace, name }, modules);
    }
  }

  /** Runs by phase, and how the modules of those at work train. */
  #showRuns(): void {
    const byPhase: Record<string, number> = {};
    for (const { metadata, status } of this.#runs.list()) {
      const phase = status?.phase ?? 'Pending';
      byPhase[phase] = (byPhase[phase] ?? 0) + 1;
      const { namespace = '', name } = metadata;
      if (phase === 'Complete' || phase === 'Failed') this.#metrics.forgetRun(namespace, name);
      else {
        for (const { name: module, stalenessSeconds, ...row } of status?.modules ?? []) {
          const figures = { ...row, stalenessSeconds: stalenessSeconds?.p50 };
          this.#metrics.setTraining(namespace, name, module, figures);
        }
      }
    }
    this.#metrics.setRuns(byPhase);
  }

  #forget({ metadata: { namespace = '', name, uid = '' } }: KubeObject): void {
    this.#reconciler.forget(uid);
    this.#reports?.forget(uid);
    this.#metrics.forgetRun(namespace, name);
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
    const mine = <T extends KubeObject>(informer: Informer<T>): KubeObject[] =>
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
