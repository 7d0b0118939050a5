import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseRun } from '@greedy-infomax/crds';
import type { ProgressState } from '../../../operator/src/local/progress.ts';
import { type LocalRunOptions, runLocally } from '../../../operator/src/local/run.ts';
import type { Summary } from '../../../operator/src/report/summary.ts';
import { TINY, trainerPids } from '../../support/gim.ts';
import { freePort } from '../../support/nats.ts';

/** A real training on this machine for fault injection: three trainers, a NATS server, digits. */

export const MODULES = ['one', 'two', 'three'] as const;
export type ModuleName = (typeof MODULES)[number];

/** Requirements of a fault for the training under test. */
export interface Setting {
  whenFull?: 'dropOldest' | 'block';
  /** NATS server of the training. Default: one that the run starts and restarts itself. */
  natsUrl?: string;
  hungAfterMs?: number;
  trainerCommand?: readonly string[];
}

export interface TrainingOptions extends Setting {
  /** Output folder of the training. */
  folder: string;
  samples: number;
  /** True if linear probes are trained at the end. */
  evaluate: boolean;
}

/** Progress of a module according to its reports. */
export interface ModuleProgress {
  samples: number;
  /** Maximum ever reported. */
  most: number;
  /** Samples trained on after the checkpoint of a restart and before the restart. */
  again: number;
  dropped: number;
  phase: string;
  restarts: number;
  checkpointStep: number | null;
  message: string | undefined;
}

const NO_PROGRESS: ModuleProgress = {
  samples: 0,
  most: 0,
  again: 0,
  dropped: 0,
  phase: '',
  restarts: 0,
  checkpointStep: null,
  message: undefined,
};

const STALLED_SECONDS = 180;

/** Maximum milliseconds without progress; longer than any operation here. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
}

export class Training {
  readonly out: string;
  readonly natsUrl: string;
  readonly progress = new Map<string, ModuleProgress>(MODULES.map((name) => [name, NO_PROGRESS]));
  /** Notes that the command line would have printed. */
  readonly notes: string[] = [];
  readonly #run: Promise<Summary>;
  readonly #stop = new AbortController();
  #failure: Error | undefined;

  static async start(options: TrainingOptions): Promise<Training> {
    const port = options.natsUrl === undefined ? await freePort() : undefined;
    return new Training(options, port);
  }

  private constructor(options: TrainingOptions, natsPort: number | undefined) {
    const { folder, samples, evaluate, whenFull = 'dropOldest', natsUrl, ...rest } = options;
    this.out = join(folder, 'out');
    this.natsUrl = natsUrl ?? `nats://127.0.0.1:${natsPort}`;
    mkdirSync(this.out, { recursive: true });
    const file = join(folder, 'run.yaml');
    const text = TINY.replace('samples: 8000', `samples: ${samples}`)
      .replace('learningRate: 0.001', 'learningRate: 0.002')
      .replace('predictionSteps: 3', 'predictionSteps: 3\n    negatives: 16')
      .replace('depth: 64', `depth: 64\n    whenFull: ${whenFull}`)
      .replace('epochs: 5', 'epochs: 20');
    writeFileSync(file, text);
    const local: LocalRunOptions = {
      file,
      run: parseRun(text, file),
      out: this.out,
      resume: false,
      evaluate,
      tickMs: 200,
      screen: {
        show: (state) => this.#note(state),
        note: (line) => this.notes.push(line),
        done: () => {},
      },
      // Sends activations through the server, so that link faults affect them.
      ...(natsUrl === undefined ? { natsPort } : { nats: { url: natsUrl }, sharedMemory: false }),
      ...rest,
    };
    this.#run = runLocally(local, this.#stop.signal);
    this.#run.catch((error) => {
      this.#failure = error as Error;
    });
  }

  /** Resolves with the summary; rejects when the run fails or stalls. */
  async done(): Promise<Summary> {
    const all = () => MODULES.map((name) => this.of(name));
    let most = 0;
    let at = performance.now();
    const ended = this.#run.then(() => true);
    while (!(await Promise.race([ended, sleep(500)]))) {
      const sum = all().reduce((total, { samples }) => total + samples, 0);
      // The evaluation follows after training.
      const isOver = all().every(({ phase }) => phase === 'finished');
      if (sum !== most || isOver) at = performance.now();
      if (performance.now() - at > 1000 * STALLED_SECONDS) {
        throw new StalledError(`no progress: ${JSON.stringify([...this.progress])}`);
      }
      most = sum;
    }
    return this.#run;
  }

  of(module: string): ModuleProgress {
    return this.progress.get(module) ?? NO_PROGRESS;
  }

  /** Returns the process id of the module's trainer. Throws if there is none. */
  pid(module: ModuleName): number {
    const pid = trainerPids(this.out).get(module);
    if (pid === undefined) throw new StalledError(`module ${module} has no trainer`);
    return pid;
  }

  /** Waits until `condition` holds; throws when the run has failed, or after `seconds`. */
  async until(condition: () => boolean, what: string, seconds = 90): Promise<void> {
    const end = performance.now() + 1000 * seconds;
    while (!condition()) {
      if (this.#failure) throw this.#failure;
      if (performance.now() > end)
        throw new StalledError(`timed out after ${seconds} s waiting for ${what}`);
      await sleep(50);
    }
  }

  /** Waits until every module has trained on that many samples and has a checkpoint. */
  async reaches(samples: number): Promise<void> {
    await this.until(
      () =>
        MODULES.every((name) => {
          const { checkpointStep } = this.of(name);
          return this.of(name).samples >= samples && checkpointStep !== null;
        }),
      `every module to have trained on ${samples} samples`,
    );
  }

  /** Waits until every module has trained further than in `before`, or has used its budget. */
  async goesOnFrom(before: ReadonlyMap<string, ModuleProgress>): Promise<void> {
    await this.until(
      () =>
        MODULES.every((name) => {
          const { samples, phase } = this.of(name);
          const over = phase === 'forwarding' || phase === 'finished';
          return over || (phase === 'training' && samples > (before.get(name)?.samples ?? 0));
        }),
      `every module to train on; now ${JSON.stringify([...this.progress])}`,
    );
  }

  /** Aborts a run with all processes that it started. */
  async abandon(): Promise<void> {
    this.#stop.abort();
    await this.#run.catch(() => {});
  }

  #note({ modules }: ProgressState): void {
    for (const { name, process: state, restarts, report } of modules) {
      const before = this.of(name);
      // A trainer does not know its progress while it starts.
      const knows = report !== null && report.phase !== 'starting';
      const samples = knows ? report.samplesTrained : before.samples;
      this.progress.set(name, {
        samples,
        most: Math.max(samples, before.most),
        again: before.again + Math.max(0, before.samples - samples),
        dropped: knows ? report.samplesDropped : before.dropped,
        phase: state === 'running' ? (report?.phase ?? 'starting') : phaseOfEnded(state),
        restarts,
        checkpointStep: report?.checkpointStep ?? before.checkpointStep,
        message: report?.message,
      });
    }
  }
}

const phaseOfEnded = (state: string): string => (state === 'done' ? 'finished' : state);
