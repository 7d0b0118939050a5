import { readFileSync } from 'node:fs';
import type { Report } from '@greedy-infomax/crds';
import { newestCheckpoint } from './folder.ts';
import type { Trainer } from './trainer-process.ts';

/** A module that was given up: which, why, and what is left of it. */
export class ModuleFailedError extends Error {
  override readonly name = 'ModuleFailedError';
}

/** What to tell the user of a trainer in the state `failed`. */
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

/** The end of a trainer's log: the message of the last line if it is JSON, else the last three lines. */
function lastWords(file: string): string {
  const lines = readLog(file).trim().split('\n');
  try {
    const { msg } = JSON.parse(lines.at(-1) ?? '') as { msg?: unknown };
    if (typeof msg === 'string') return msg;
  } catch {
    // Not the logger's own: a crash of node, say.
  }
  return lines.slice(-3).join('\n') || 'its log is empty';
}

function readLog(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it never started
  }
}
