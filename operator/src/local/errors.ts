import { readFileSync } from 'node:fs';
import type { Report } from '@greedy-infomax/crds';
import { newestCheckpoint } from './folder.ts';
import type { Trainer } from './trainer-process.ts';

/** A module failed for good. The message names the module, the cause and its last checkpoint. */
export class ModuleFailedError extends Error {
  override readonly name = 'ModuleFailedError';
}

/** Creates the error for a trainer in the state `failed`. */
export function moduleFailure(
  out: string,
  trainer: Trainer,
  report: Report | undefined,
): ModuleFailedError {
  const checkpoint = newestCheckpoint(out, trainer.module);
  const cause = report?.phase === 'failed' ? report.message : undefined;
  return new ModuleFailedError(
    [
      `module ${trainer.module} failed: ${cause ?? lastWords(trainer.logFile)}`,
      `  why it was given up: ${trainer.failure}`,
      `  last checkpoint: ${checkpoint ?? 'none'}`,
      `  log: ${trainer.logFile}`,
      ...(checkpoint
        ? ['  the other modules have stopped with checkpoints; --resume goes on']
        : []),
    ].join('\n'),
  );
}

/** Returns what a trainer that was stopped without a checkpoint of its last step has lost, and why. */
export function notSaved(out: string, trainer: Trainer, report: Report | undefined): string {
  const { module, replica, logFile } = trainer;
  const checkpoint = newestCheckpoint(out, module);
  const why = report?.message ?? `see ${logFile}`;
  const rest = checkpoint ? `its newest checkpoint is ${checkpoint}` : 'it has no checkpoint';
  return `module ${module}, trainer ${replica} stopped without a checkpoint of its last step (${why}); ${rest}`;
}

/** Returns the end of a trainer's log: the message of the last line if it is JSON, else the last three lines. */
function lastWords(file: string): string {
  const lines = readLog(file).trim().split('\n');
  try {
    const { msg } = JSON.parse(lines.at(-1) ?? '') as { msg?: unknown };
    if (typeof msg === 'string') return msg;
  } catch {
    // The line is not from the logger, for example after a crash of Node.
  }
  return lines.slice(-3).join('\n') || 'its log is empty';
}

function readLog(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the process never started
  }
}
