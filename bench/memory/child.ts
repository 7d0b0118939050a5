import { readFileSync, writeFileSync } from 'node:fs';
import type { ModuleConfig } from '@greedy-infomax/crds';
import { OwnStep } from '../step/own.ts';
import { casesOf } from './cases.ts';
import { JointStep } from './joint.ts';

/**
 * `child.ts CASE BATCH STEPS`: trains one case in a process of its own and prints what memory it took, in bytes, as JSON.
 */

export interface Memory {
  /** With TensorFlow loaded and nothing made yet. */
  idle: number;
  /** The most while the step was compiled: it runs once uncompiled then. */
  compiling: number;
  /** The most while it was trained. */
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

/** A line of the kernel's account of this process, which it gives in kB. */
function statusBytes(name: string): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
}

/** From here on the peak counts anew. */
function forgetPeak(): void {
  writeFileSync('/proc/self/clear_refs', '5');
}
