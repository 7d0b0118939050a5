import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseRun } from '@greedy-infomax/crds';
import type { ProgressState } from '../../../operator/src/local/progress.ts';
import { type LocalRunOptions, runLocally } from '../../../operator/src/local/run.ts';
import type { Summary } from '../../../operator/src/report/summary.ts';
import { TINY, trainerPids } from '../../support/gim.ts';
import { freePort } from '../../support/nats.ts';

/** A real training on this machine that faults can strike: three trainers, a NATS server, digits. */

export const MODULES = ['one', 'two', 'three'] as const;
export type ModuleName = (typeof MODULES)[number];

/** What a fault needs of the training that it strikes. */
export interface Setting {
  whenFull?: 'dropOldest' | 'block';
  /** Default: a server that the run starts itself, and starts again. */
  natsUrl?: string;
  hungAfterMs?: number;
  trainerCommand?: readonly string[];
}

export interface TrainingOptions extends Setting {
  /** Of all that the training writes. */
  folder: string;
  samples: number;
  /** Whether the modules are read out at the end. */
  evaluate: boolean;
}

/** What is known of a module from its reports. */
export interface Heard {
  samples: number;
  /** The most that was ever reported. */
  most: number;
  /** Samples trained on before a restart, but after the checkpoint that it went on from. */
  again: number;
  dropped: number;
  phase: string;
  restarts: number;
  checkpointStep: number | null;
  message: string | undefined;
}

const UNHEARD: Heard = {
  samples: 0,
  most: 0,
  again: 0,
  dropped: 0,
  phase: '',
  restarts: 0,
  checkpointStep: null,
  message: undefined,
};

const STALLED_SECONDS = 60;

/** Nothing moved for longer than anything here may take. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
}

export class Training {
  readonly out: string;
  readonly natsUrl: string;
  readonly heard = new Map<string, Heard>(MODULES.map((name) => [name, UNHEARD]));
  /** What the command line would have told the user. */
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
      // What is done to the way to a server is to be done to activations.
      ...(natsUrl === undefined ? { natsPort } : { nats: { url: natsUrl }, sharedMemory: false }),
      ...rest,
    };
    this.#run = runLocally(local, this.#stop.signal);
    this.#run.catch((error) => {
      this.#failure = error as Error;
    });
  }

  /** Resolves with the summary; rejects when the run failed, or stands still. */
  async done(): Promise<Summary> {
    const all = () => MODULES.map((name) => this.of(name));
    let most = 0;
    let at = performance.now();
    const ended = this.#run.then(() => true);
    while (!(await Promise.race([ended, sleep(500)]))) {
      const sum = all().reduce((total, { samples }) => total + samples, 0);
      // After training there are the readouts.
      const isOver = all().every(({ phase }) => phase === 'finished');
      if (sum !== most || isOver) at = performance.now();
      if (performance.now() - at > 1000 * STALLED_SECONDS) {
        throw new StalledError(`nothing moves any more: ${JSON.stringify([...this.heard])}`);
      }
      most = sum;
    }
    return this.#run;
  }

  of(module: string): Heard {
    return this.heard.get(module) ?? UNHEARD;
  }

  /** Process id of the module's trainer. Throws when none runs. */
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
      if (performance.now() > end) throw new StalledError(`waited ${seconds} s in vain: ${what}`);
      await sleep(50);
    }
  }

  /** Waits until the slowest module has trained on so many samples, and every one has a checkpoint. */
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

  /** Waits until every module has trained on more than when `before` was noted, or on all that it may. */
  async goesOnFrom(before: ReadonlyMap<string, Heard>): Promise<void> {
    await this.until(
      () =>
        MODULES.every((name) => {
          const { samples, phase } = this.of(name);
          const over = phase === 'forwarding' || phase === 'finished';
          return over || (phase === 'training' && samples > (before.get(name)?.samples ?? 0));
        }),
      `every module to train on; now ${JSON.stringify([...this.heard])}`,
    );
  }

  /** Ends a run that is not wanted any more, with all that it has started. */
  async abandon(): Promise<void> {
    this.#stop.abort();
    await this.#run.catch(() => {});
  }

  #note({ modules }: ProgressState): void {
    for (const { name, process: state, restarts, report } of modules) {
      const before = this.of(name);
      // A trainer that starts does not know yet how far it is.
      const knows = report !== null && report.phase !== 'starting';
      const samples = knows ? report.samplesTrained : before.samples;
      this.heard.set(name, {
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
