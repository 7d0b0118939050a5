import { EXIT, FINAL_EXIT_CODES } from '@greedy-infomax/crds';

export interface Ended {
  /** null when a signal ended the process. */
  exitCode: number | null;
  signal: string | null;
  /** True if the trainer left proof that its training is complete; see `provesCompletion`. */
  isProven: boolean;
  /** Attempts in a row, this one included, that made no step of progress. */
  attempts: number;
}

export type RestartDecision =
  | { action: 'done' }
  | { action: 'restart'; afterSeconds: number }
  | { action: 'fail'; why: string };

const MAX_ATTEMPTS = 6;
const MAX_WAIT_SECONDS = 30;

const FINAL: Record<number, string> = {
  [EXIT.configuration]: 'its configuration or its data cannot work',
  [EXIT.diverged]: 'its loss is not a finite number; a smaller learningRate may help',
};

/** Decides what follows the end of a trainer. A restart continues from the newest checkpoint. */
export function restartDecision({ exitCode, signal, isProven, attempts }: Ended): RestartDecision {
  if (exitCode === EXIT.ok && isProven) return { action: 'done' };
  if (exitCode !== null && FINAL_EXIT_CODES.includes(exitCode)) {
    const why = FINAL[exitCode] ?? 'another attempt would end the same way';
    return { action: 'fail', why: `the trainer ended with code ${exitCode}: ${why}` };
  }
  if (attempts > MAX_ATTEMPTS) {
    const proof = exitCode === EXIT.ok ? ' and no proof of a finished training' : '';
    const end = exitCode === null ? `by ${signal ?? 'a signal'}` : `with code ${exitCode}${proof}`;
    return {
      action: 'fail',
      why: `the trainer ended ${end}, ${attempts} times in a row without a step of progress`,
    };
  }
  return {
    action: 'restart',
    afterSeconds: Math.min(MAX_WAIT_SECONDS, 2 ** Math.max(0, attempts - 1)),
  };
}
