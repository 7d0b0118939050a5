import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Summary } from '../../../operator/src/report/summary.ts';
import { randomOf } from '../random.ts';
import type { Fault, Scene } from './faults.ts';
import { MODULES, type Setting, Training } from './training.ts';

export interface MeasureOptions {
  seed: number;
  samples: number;
  evaluate: boolean;
  /** Duration of a lasting fault, in milliseconds. */
  lasts: number;
}

export interface Outcome {
  /**
   * Seconds until every module trained again, from the start of each fault, or from its end if it
   * lasts. Resolution is one second, the interval of reports.
   */
  recovery: number[];
  /**
   * Reported samples trained on between the newest checkpoint and a restart, summed over modules.
   */
  again: number;
  /** Samples that were never trained on, summed over modules. */
  dropped: number;
  summary: Summary;
}

/**
 * Trains to the end with `faults` in sequence: the first at a point drawn from `seed`, each other
 * one after recovery from the previous. Throws when the training does not recover or fails.
 */
export async function trainThrough(
  faults: readonly Fault[],
  options: MeasureOptions,
  setting: Setting = {},
): Promise<Outcome> {
  const { seed, samples, evaluate, lasts } = options;
  const random = randomOf(seed);
  const folder = mkdtempSync(join(tmpdir(), 'gim-fault-'));
  const scenes: Scene[] = [];
  let training: Training | undefined;
  try {
    let settings = setting;
    for (const fault of faults) {
      const prepared = await fault.prepare?.(folder);
      scenes.push({ folder, random, lasts, ...prepared });
      settings = { ...settings, ...fault.setting, ...prepared?.setting };
    }
    training = await Training.start({ folder, samples, evaluate, ...settings });
    // Early enough that samples remain to be lost afterwards.
    await training.reaches(
      faults.length === 0 ? 0 : Math.floor(samples * (0.1 + random(20) / 100)),
    );
    const recovery: number[] = [];
    for (const [i, fault] of faults.entries()) {
      const before = new Map(training.progress);
      const struck = performance.now();
      await fault.strike(training, scenes[i] as Scene);
      const over = fault.lasting ? performance.now() : struck;
      await training.goesOnFrom(before);
      recovery.push((performance.now() - over) / 1000);
    }
    const summary = await training.done();
    const progress = MODULES.map((name) => (training as Training).of(name));
    return {
      recovery,
      again: progress.reduce((sum, { again }) => sum + again, 0),
      dropped: summary.modules.reduce((sum, { samplesDropped }) => sum + samplesDropped, 0),
      summary,
    };
  } finally {
    await training?.abandon();
    for (const scene of scenes) await scene.clean?.();
    rmSync(folder, { recursive: true, force: true });
  }
}
