/** Input and output of a simulation. Times in milliseconds unless a name says otherwise. */

export interface Stage {
  name: string;
  /** Trainers that share the module's budget. */
  replicas: number;
  /** Samples of a step. */
  batchSize: number;
  /** Milliseconds of a training step when nothing else runs. */
  msPerBatch: number;
  /** Milliseconds of a step without backward pass and update, of a module that only forwards. */
  forwardMsPerBatch: number;
  /** Cores that a step keeps busy; 0 for a step on a GPU. */
  cores: number;
  /** By number of the trainer, the core that it keeps to; null where trainers share all of them. */
  keepsTo: readonly number[] | null;
  /** As the trainers' variable SLOWDOWN: times as long a trainer takes for a batch as the step does, by waiting. */
  slowdown: number;
}

/** The buffer between a module and the next, and the way through it. */
export interface Link {
  /** Encoded. */
  sampleBytes: number;
  samplesPerMessage: number;
  /** Samples. */
  depth: number;
  megabytesPerSecond: number;
  /** CPU seconds per gigabyte of producer, server and consumer together. */
  cpuSecondsPerGigabyte: number;
}

export interface Pipeline {
  stages: readonly Stage[];
  /** One between each stage and the next. */
  links: readonly Link[];
  whenFull: 'dropOldest' | 'block';
  /** Uses of a sample after its first. */
  maxReuse: number;
  /** A module fills its store as fast as it can, and trains on it meanwhile. */
  stores: boolean;
  /** Samples that each module trains on. */
  budget: number;
  /** Cores that all processes share; null: each has as many as it needs. */
  cores: number | null;
  /** Standard deviation of the time of a step by its mean. */
  jitter: number;
  seed: number;
}

export interface StageForecast {
  name: string;
  /** Seconds until the budget was spent, and the rate that makes. */
  seconds: number;
  samplesPerSecond: number;
  /** Share of that time that a trainer computed. */
  busy: number;
  /** Steps that the producer was ahead, as trainers report it, and age in seconds; null for the first module. */
  stalenessSteps: Percentiles | null;
  stalenessSeconds: Percentiles | null;
  /** Samples that this module should have had and never used. */
  dropped: number;
  reused: number;
}

export interface Percentiles {
  p50: number;
  p95: number;
}

export interface Forecast {
  whenFull: Pipeline['whenFull'];
  /** Samples that each module trained on. */
  samples: number;
  /** Until the last module has spent its budget. */
  seconds: number;
  samplesPerSecond: number;
  /** Share of the cores that was busy; null when they are not shared. */
  coresBusy: number | null;
  /** Resource that limits the speed of the run. */
  bottleneck: string;
  stages: StageForecast[];
}

/** A sample without contents. */
export interface Sample {
  /** Number of its producer. */
  producer: number;
  /** Producer's step that computed the sample. */
  step: number;
  /** Time of that step in milliseconds since the start of the run. */
  madeAt: number;
}
