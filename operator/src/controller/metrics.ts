import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { SeenRequest } from '../kube/client.ts';
import { type Served, serve } from '../kube/http-server.ts';
import type { QueueObserver } from '../kube/work-queue.ts';

/** Training figures of a module. Null and undefined mean unknown: no series. */
export interface ModuleFigures {
  loss?: number | null;
  samples?: number | null;
  samplesPerSecond?: number | null;
  stalenessSeconds?: number | null;
  samplesDropped?: number | null;
}

/** Prefix of every series, so that a query by name finds only those of this operator. */
export const METRICS_PREFIX = 'greedyinfomax_';

/** Maximum number of modules with their own series. */
const MODULES_MAX = 500;

const MODULE_LABELS = ['namespace', 'run', 'module'] as const;
type ModuleLabels = Record<(typeof MODULE_LABELS)[number], string>;

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Prometheus metrics of the operator. Names are those of controller-runtime, where it has the same metric,
 * with our prefix.
 */
export class Metrics {
  readonly registry = new Registry();
  /** Names of the modules that have series, by `NAMESPACE/RUN`. */
  readonly #modules = new Map<string, Set<string>>();
  #moduleCount = 0;
  readonly #requests = this.#counter('rest_client_requests_total', 'Requests to the API server', [
    'code',
    'method',
    'host',
  ]);
  readonly #leader = this.#gauge('leader_election_master_status', '1 if this process leads', [
    'name',
  ]);
  readonly #nats = this.#gauge('nats_connected', '1 if NATS is connected');
  readonly #runs = this.#gauge('runs', 'Runs by phase', ['phase']);
  readonly #training = {
    loss: this.#moduleGauge('loss', 'Mean loss of the last steps'),
    samples: this.#moduleCounter('samples_total', 'Samples trained on'),
    samplesPerSecond: this.#moduleGauge('samples_per_second', 'Samples trained on a second'),
    stalenessSeconds: this.#moduleGauge('staleness_seconds', 'Median age of the samples used'),
    samplesDropped: this.#moduleCounter('samples_dropped_total', 'Samples never used'),
  };
  /** Reports of trainers that were dropped, by reason (see `TrainerReports`). */
  readonly #reportsDropped = this.#counter(
    'reports_dropped_total',
    'Trainer reports dropped by reason',
    ['reason'],
  );

  readonly #showsRuns: boolean;

  /**
   * `runs` enables series for the modules of runs. They expose names and losses of all tenants to every reader
   * of the metrics. Default false.
   */
  constructor({ runs = false }: { runs?: boolean } = {}) {
    this.#showsRuns = runs;
    collectDefaultMetrics({ register: this.registry, prefix: METRICS_PREFIX });
    // The library names a few gauges with the suffix reserved for counters.
    for (const name of ['resources', 'handles', 'requests']) {
      this.registry.removeSingleMetric(`${METRICS_PREFIX}nodejs_active_${name}_total`);
    }
  }

  /** Returns the observer for a `Client`. */
  observeRequests(host: string): (request: SeenRequest) => void {
    return ({ method, code }) =>
      this.#requests.inc({ method, host, code: code === 0 ? '<error>' : String(code) });
  }

  /** Returns the observer for the `WorkQueue` of a controller. */
  observeQueue(controller: string, concurrency: number): QueueObserver {
    const name = [controller];
    const total = this.#counter('reconcile_total', 'Reconciles by result', [
      'controller',
      'result',
    ]);
    const errors = this.#counter('reconcile_errors_total', 'Failed reconciles', ['controller']);
    const terminal = this.#counter(
      'terminal_reconcile_errors_total',
      'Failed reconciles that are not retried',
      ['controller'],
    );
    const reconcile = this.#histogram('reconcile_time_seconds', 'Duration of a reconcile', [
      'controller',
    ]);
    const active = this.#gauge('active_workers', 'Reconciles that run', ['controller']);
    this.#gauge('max_concurrent_reconciles', 'Maximum number of reconciles at once', [
      'controller',
    ]).set({ controller }, concurrency);
    const depth = this.#gauge('workqueue_depth', 'Keys waiting', ['name']);
    const adds = this.#counter('workqueue_adds_total', 'Keys added', ['name']);
    const retries = this.#counter('workqueue_retries_total', 'Keys added again after a failure', [
      'name',
    ]);
    const waited = this.#histogram('workqueue_queue_duration_seconds', 'Time a key waits', [
      'name',
    ]);
    const worked = this.#histogram('workqueue_work_duration_seconds', 'Time a key is worked on', [
      'name',
    ]);
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

  /** Counts a trainer's report that was dropped. */
  countDroppedReport(reason: string): void {
    this.#reportsDropped.inc({ reason });
  }

  /** Replaces the numbers of all phases. */
  setRuns(byPhase: Record<string, number>): void {
    this.#runs.reset();
    for (const [phase, count] of Object.entries(byPhase)) this.#runs.set({ phase }, count);
  }

  /** Sets the series of a module, if runs are shown. A module beyond the maximum has no series. */
  setTraining(namespace: string, run: string, module: string, figures: ModuleFigures): void {
    if (!this.#showsRuns) return;
    const key = `${namespace}/${run}`;
    const ofRun = this.#modules.get(key) ?? new Set<string>();
    if (!ofRun.has(module)) {
      if (this.#moduleCount >= MODULES_MAX) return;
      this.#moduleCount += 1;
      this.#modules.set(key, ofRun.add(module));
    }
    const labels: ModuleLabels = { namespace, run, module };
    for (const [name, series] of Object.entries(this.#training)) {
      const value = figures[name as keyof ModuleFigures];
      // A count falls when a trainer restarts from a checkpoint; Prometheus treats that as a counter reset.
      if (series instanceof Counter || value === null || value === undefined) series.remove(labels);
      if (value !== null && value !== undefined) write(series, labels, value);
    }
  }

  /** Removes the series of a run that is deleted or finished. */
  forgetRun(namespace: string, run: string): void {
    const key = `${namespace}/${run}`;
    for (const module of this.#modules.get(key) ?? []) {
      this.#moduleCount -= 1;
      for (const series of Object.values(this.#training)) series.remove({ namespace, run, module });
    }
    this.#modules.delete(key);
  }

  /** Serves /metrics on `port` (0: any free port). */
  open(port: number): Promise<Served> {
    return serve(port, {
      '/metrics': async () => ({
        status: 200,
        type: this.registry.contentType,
        body: await this.registry.metrics(),
      }),
    });
  }

  #counter<Label extends string>(end: string, help: string, labelNames: Label[] = []) {
    const name = METRICS_PREFIX + end;
    return this.#once(
      name,
      () => new Counter({ name, help, labelNames, registers: [this.registry] }),
    );
  }

  #gauge<Label extends string>(end: string, help: string, labelNames: Label[] = []) {
    const name = METRICS_PREFIX + end;
    return this.#once(
      name,
      () => new Gauge({ name, help, labelNames, registers: [this.registry] }),
    );
  }

  #histogram<Label extends string>(end: string, help: string, labelNames: Label[] = []) {
    const name = METRICS_PREFIX + end;
    return this.#once(
      name,
      () => new Histogram({ name, help, labelNames, buckets: SECONDS, registers: [this.registry] }),
    );
  }

  #moduleGauge(name: string, help: string): Gauge<keyof ModuleLabels> {
    return this.#gauge(`module_${name}`, help, [...MODULE_LABELS]);
  }

  #moduleCounter(name: string, help: string): Counter<keyof ModuleLabels> {
    return this.#counter(`module_${name}`, help, [...MODULE_LABELS]);
  }

  /** Returns the metric of that name. Several controllers share one and differ by label. */
  #once<M>(name: string, make: () => M): M {
    return (this.registry.getSingleMetric(name) as M | undefined) ?? make();
  }
}

function write(
  series: Gauge<keyof ModuleLabels> | Counter<keyof ModuleLabels>,
  labels: ModuleLabels,
  value: number,
): void {
  if (series instanceof Counter) series.inc(labels, Math.max(0, value));
  else series.set(labels, value);
}
