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
  /** Milliseconds of a fault that lasts. */
  lasts: number;
}

export interface Outcome {
  /** Seconds until every module had trained on, from the start of each fault, or its end if it lasts; as reports come, to the second. */
  recovery: number[];
  /** Samples trained on between the newest checkpoint and a restart, as far as they were reported, over all modules. */
  again: number;
  /** Samples that were never trained on, over all modules. */
  dropped: number;
  summary: Summary;
}

/**
 * Trains to the end with `faults` one after another, the first at a point drawn from `seed`, each of the others
 * when the one before is recovered from. Throws when a fault is not recovered from, or the run fails.
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
    // Early enough to have something to lose after it.
    await training.reaches(
      faults.length === 0 ? 0 : Math.floor(samples * (0.1 + random(20) / 100)),
    );
    const recovery: number[] = [];
    for (const [i, fault] of faults.entries()) {
      const before = new Map(training.heard);
      const struck = performance.now();
      await fault.strike(training, scenes[i] as Scene);
      const over = fault.lasting ? performance.now() : struck;
      await training.goesOnFrom(before);
      recovery.push((performance.now() - over) / 1000);
    }
    const summary = await training.done();
    const heard = MODULES.map((name) => (training as Training).of(name));
    return {
      recovery,
      again: heard.reduce((sum, { again }) => sum + again, 0),
      dropped: summary.modules.reduce((sum, { samplesDropped }) => sum + samplesDropped, 0),
      summary,
    };
  } finally {
    await training?.abandon();
    for (const scene of scenes) await scene.clean?.();
    rmSync(folder, { recursive: true, force: true });
  }
}
