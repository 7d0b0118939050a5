import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { SeenRequest } from './client.ts';
import { type Served, serve } from './http-server.ts';
import type { QueueObserver } from './queue.ts';

/** What is known of a module's training; null and undefined: not known, so not shown. */
export interface TrainingGauges {
  loss?: number | null;
  samples?: number | null;
  samplesPerSecond?: number | null;
  stalenessSeconds?: number | null;
  samplesDropped?: number | null;
}

/** Modules with gauges of their own; more would make more series than a Prometheus should take. */
const MODULES_MAX = 500;

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The operator's Prometheus metrics, named as controller-runtime names its own where it has the same. */
export class Metrics {
  readonly registry = new Registry();
  readonly #modules = new Set<string>();
  readonly #requests = this.#counter('rest_client_requests_total', 'Requests to the API server', [
    'code',
    'method',
    'host',
  ]);
  readonly #leader = this.#gauge('leader_election_master_status', 'Whether this process leads', [
    'name',
  ]);
  readonly #nats = this.#gauge('greedy_infomax_nats_connected', 'Whether NATS is connected');
  readonly #runs = this.#gauge('greedy_infomax_runs', 'Runs by phase', ['phase']);
  readonly #training: Record<keyof TrainingGauges, Gauge> = {
    loss: this.#moduleGauge('loss', 'Mean loss of the last steps'),
    samples: this.#moduleGauge('samples', 'Samples trained on'),
    samplesPerSecond: this.#moduleGauge('samples_per_second', 'Samples trained a second'),
    stalenessSeconds: this.#moduleGauge('staleness_seconds', 'Median age of the samples used'),
    samplesDropped: this.#moduleGauge('samples_dropped', 'Samples that were never used'),
  };

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** For the `Client`. */
  observeRequests(host: string): (request: SeenRequest) => void {
    return ({ method, code }) =>
      this.#requests.inc({ method, host, code: code === 0 ? '<error>' : String(code) });
  }

  /** For a `WorkQueue`; once for each controller. */
  observeQueue(controller: string, concurrency: number): QueueObserver {
    const name = [controller];
    const total = this.#counter('controller_runtime_reconcile_total', 'Reconciles by result', [
      'controller',
      'result',
    ]);
    const errors = this.#counter('controller_runtime_reconcile_errors_total', 'Failed reconciles', [
      'controller',
    ]);
    const terminal = this.#counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Failed reconciles that are not retried',
      ['controller'],
    );
    const reconcile = this.#histogram(
      'controller_runtime_reconcile_time_seconds',
      'Time of a reconcile',
      ['controller'],
    );
    const active = this.#gauge('controller_runtime_active_workers', 'Reconciles at work', [
      'controller',
    ]);
    this.#gauge('controller_runtime_max_concurrent_reconciles', 'Reconciles at once, at most', [
      'controller',
    ]).set({ controller }, concurrency);
    const depth = this.#gauge('workqueue_depth', 'Keys that wait', ['name']);
    const adds = this.#counter('workqueue_adds_total', 'Keys added', ['name']);
    const retries = this.#counter('workqueue_retries_total', 'Keys added again after a failure', [
      'name',
    ]);
    const waited = this.#histogram('workqueue_queue_duration_seconds', 'Wait of a key', ['name']);
    const worked = this.#histogram('workqueue_work_duration_seconds', 'Work on a key', ['name']);
    return {
      added(length) {
        adds.labels(...name).inc();
        depth.labels(...name).set(length);
      },
      started(waitedSeconds, length, running) {
        waited.labels(...name).observe(waitedSeconds);
        depth.labels(...name).set(length);
        active.labels(...name).set(running);
      },
      finished(outcome, seconds, running) {
        const result = outcome === 'terminal' ? 'error' : outcome;
        total.labels(controller, result).inc();
        if (result === 'error') errors.labels(...name).inc();
        if (outcome === 'terminal') terminal.labels(...name).inc();
        reconcile.labels(...name).observe(seconds);
        worked.labels(...name).observe(seconds);
        active.labels(...name).set(running);
      },
      retried() {
        retries.labels(...name).inc();
      },
    };
  }

  setLeader(lease: string, isLeader: boolean): void {
    this.#leader.set({ name: lease }, isLeader ? 1 : 0);
  }

  setNatsConnected(isConnected: boolean): void {
    this.#nats.set(isConnected ? 1 : 0);
  }

  /** Replaces the numbers of all phases. */
  setRuns(byPhase: Record<string, number>): void {
    this.#runs.reset();
    for (const [phase, count] of Object.entries(byPhase)) this.#runs.set({ phase }, count);
  }

  /** Shows how a module trains; what exceeds the bound on modules is left out. */
  setTraining(namespace: string, run: string, module: string, values: TrainingGauges): void {
    const key = `${namespace}/${run}/${module}`;
    if (!this.#modules.has(key) && this.#modules.size >= MODULES_MAX) return;
    this.#modules.add(key);
    for (const [name, gauge] of Object.entries(this.#training)) {
      const value = values[name as keyof TrainingGauges];
      if (value === null || value === undefined) gauge.remove({ namespace, run, module });
      else gauge.set({ namespace, run, module }, value);
    }
  }

  /** Removes the gauges of a run that is gone or done. */
  forgetRun(namespace: string, run: string): void {
    const prefix = `${namespace}/${run}/`;
    for (const key of [...this.#modules].filter((each) => each.startsWith(prefix))) {
      this.#modules.delete(key);
      const module = key.slice(prefix.length);
      for (const gauge of Object.values(this.#training)) gauge.remove({ namespace, run, module });
    }
  }

  /** Serves /metrics on `port` (0: a free one). */
  open(port: number): Promise<Served> {
    return serve(port, {
      '/metrics': async () => ({
        status: 200,
        type: this.registry.contentType,
        body: await this.registry.metrics(),
      }),
    });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[] = []) {
    return this.#once(
      name,
      () => new Counter({ name, help, labelNames, registers: [this.registry] }),
    );
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: Label[] = []) {
    return this.#once(
      name,
      () => new Gauge({ name, help, labelNames, registers: [this.registry] }),
    );
  }

  #histogram<Label extends string>(name: string, help: string, labelNames: Label[] = []) {
    return this.#once(
      name,
      () => new Histogram({ name, help, labelNames, buckets: SECONDS, registers: [this.registry] }),
    );
  }

  #moduleGauge(name: string, help: string): Gauge {
    return this.#gauge(`greedy_infomax_module_${name}`, help, ['namespace', 'run', 'module']);
  }

  /** Several controllers share a metric and differ by label. */
  #once<M>(name: string, make: () => M): M {
    return (this.registry.getSingleMetric(name) as M | undefined) ?? make();
  }
}
