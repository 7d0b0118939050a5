import { readFileSync, writeFileSync } from 'node:fs';
import type { ModuleConfig } from '@greedy-infomax/crds';
import { OwnStep } from '../step/own.ts';
import { casesOf } from './cases.ts';
import { JointStep } from './joint.ts';

/**
 * `child.ts CASE BATCH STEPS`: trains one case in a separate process and prints its memory use, in
 * bytes, as JSON.
 */

export interface Memory {
  /** After TensorFlow is loaded and before anything is created. */
  idle: number;
  /** Peak while the step was compiled, including its first, uncompiled run. */
  compiling: number;
  /** Peak during training. */
  training: number;
  loss: number;
}

const [number = '', batch = '', steps = ''] = process.argv.slice(2);
const chosen = casesOf(Number(batch))[Number(number)];
if (!chosen) throw new RangeError(`there is no case ${number}`);

const idle = statusBytes('VmRSS');
const step = prepare(chosen.modules as [ModuleConfig, ...ModuleConfig[]]);
const compiling = statusBytes('VmHWM');
forgetPeak();
const losses = Array.from({ length: Number(steps) }, step);
const memory: Memory = {
  idle,
  compiling,
  training: statusBytes('VmHWM'),
  loss: losses[0] as number,
};
console.log(JSON.stringify(memory));

function prepare(modules: readonly [ModuleConfig, ...ModuleConfig[]]): () => number {
  if (modules.length === 1) {
    const own = new OwnStep(modules[0]);
    return () => own.run(0).loss;
  }
  const joint = new JointStep(modules);
  return () => joint.step();
}

/** A field of the kernel's status of this process, given in kB. */
function statusBytes(name: string): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
}

/** Resets the peak. */
function forgetPeak(): void {
  writeFileSync('/proc/self/clear_refs', '5');
}
