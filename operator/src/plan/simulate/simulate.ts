import { FORWARD_PAUSE } from '@greedy-infomax/crds';
import { Cores } from './cores.ts';
import { Edge } from './edge.ts';
import { bottleneckOf, type Outcome, stageForecast } from './forecast.ts';
import type { Forecast, Pipeline, Sample, Stage } from './pipeline.ts';

/**
 * Plays a run through, step by step and message by message, from measured times: how fast it is, how old the
 * samples are that it trains on, and what holds it up. The same pipeline and seed give the same forecast.
 */

export function simulate(pipeline: Pipeline): Forecast {
  const cores = new Cores(pipeline.cores);
  const random = randomOf(pipeline.seed);
  // Uniform, of the standard deviation that is asked for.
  const spread = () => Math.max(0.1, 1 + pipeline.jitter * Math.sqrt(3) * (2 * random() - 1));
  const edges = pipeline.links.map(
    (link, i) => new Edge(link, pipeline, pipeline.stages[i + 1] as Stage, cores),
  );
  const outcomes = pipeline.stages.map(
    (stage): Outcome => ({
      stage,
      trained: 0,
      endedAt: null,
      busy: 0,
      staleSteps: [],
      staleSeconds: [],
      dropped: 0,
      reused: 0,
    }),
  );
  for (const [i, outcome] of outcomes.entries()) {
    const budget = { total: pipeline.budget, begun: 0 };
    for (let replica = 0; replica < outcome.stage.replicas; replica += 1) {
      const from = edges[i - 1];
      new Trainer({ outcome, replica, budget, cores, spread, from, to: edges[i] }).next();
    }
  }
  while (outcomes.some(({ endedAt }) => endedAt === null) && cores.step());
  const ms = Math.max(...outcomes.map(({ endedAt }) => endedAt ?? cores.now));
  const coresBusy = pipeline.cores === null ? null : cores.used / cores.now / pipeline.cores;
  const stages = outcomes.map((outcome) => stageForecast(outcome, pipeline.budget));
  return {
    whenFull: pipeline.whenFull,
    samples: pipeline.budget,
    seconds: ms / 1000,
    samplesPerSecond: (1000 * pipeline.budget) / ms,
    coresBusy,
    bottleneck: bottleneckOf(
      stages,
      edges.map(({ busy }) => busy / cores.now),
      coresBusy,
    ),
    stages,
  };
}

interface TrainerOptions {
  /** Outcome of the module, updated by its trainers. */
  outcome: Outcome;
  replica: number;
  /** Samples that the trainers of the module have to train on, and have begun with. */
  budget: { total: number; begun: number };
  cores: Cores;
  /** Factor of the next step's time. */
  spread: () => number;
  from: Edge | undefined;
  to: Edge | undefined;
}

class Trainer {
  readonly #options: TrainerOptions;
  #step = 0;

  constructor(options: TrainerOptions) {
    this.#options = options;
  }

  /** Trains on the next batch; when the budget is spent, forwards what the next module has not enough of. */
  next(): void {
    const { outcome, replica, budget, cores, from, to } = this.#options;
    const training = budget.begun < budget.total;
    if (!training && !to) return;
    if (!training && to?.hasEnough) {
      cores.start(FORWARD_PAUSE, 0, () => this.next());
      return;
    }
    if (training) budget.begun += outcome.stage.batchSize;
    if (!from) this.#compute(training, 0);
    else
      from.take(replica, !training, (batch, stale) => {
        if (training) this.#note(batch, stale);
        this.#compute(training, batch.length);
      });
  }

  #note(batch: readonly Sample[], stale: readonly number[]): void {
    const { outcome, cores } = this.#options;
    outcome.staleSteps.push(...stale);
    for (const { madeAt } of batch) outcome.staleSeconds.push((cores.now - madeAt) / 1000);
  }

  #compute(training: boolean, used: number): void {
    const { outcome, cores, spread, replica, from, to } = this.#options;
    const { stage } = outcome;
    const ms = (training ? stage.msPerBatch : stage.forwardMsPerBatch) * spread();
    const began = cores.now;
    const madeBy = this.#step;
    const finish = () => {
      from?.done(used);
      if (training) {
        this.#step += 1;
        this.#trained(cores.now - began);
      }
      const sample = { producer: replica, step: madeBy, madeAt: cores.now };
      if (to) to.put(Array<Sample>(stage.batchSize).fill(sample), () => this.next());
      else this.next();
    };
    // The wait is by the time that the step has taken, others on the cores included.
    const wait = () => cores.start((stage.slowdown - 1) * (cores.now - began), 0, finish);
    const core = stage.keepsTo?.[replica];
    cores.start(ms, stage.cores, stage.slowdown === 1 ? finish : wait, core);
  }

  #trained(ms: number): void {
    const { outcome, budget, cores, from } = this.#options;
    outcome.trained += outcome.stage.batchSize;
    outcome.busy += ms;
    if (outcome.trained < budget.total) return;
    outcome.endedAt ??= cores.now;
    outcome.dropped = from?.dropped ?? 0;
    outcome.reused = from?.reused ?? 0;
  }
}

/** Numbers from 0 to 1 (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
