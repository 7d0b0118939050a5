import { z } from 'zod';

/**
 * Termination message of a trainer's container, which remains in the pod's status. Exit code 0 alone does not prove
 * completion: a wrapper whose child was killed, or another image, also exits with 0.
 */

/** Maximum bytes of a termination message that the kubelet keeps. */
export const TERMINATION_MESSAGE_BYTES = 4096;
/** Maximum characters of an error message: in JSON, a control character takes six bytes. */
const ERROR_CHARACTERS = 600;

const count = z.int().min(0);

/** Ending with exit code 0 (complete) or 2 (stopped). */
const trainedSchema = z.strictObject({
  /** complete: the budget is spent and no later module needs the trainer. stopped: by a signal before that. */
  outcome: z.enum(['complete', 'stopped']),
  /** Uid of the run. */
  run: z.string().max(64),
  module: z.string().max(64),
  replica: count,
  /** Number of optimizer steps. */
  step: count,
  /** Number of samples of all trainers of the module, as far as this trainer knows. */
  samples: count,
  /** Number of samples that the module must train on. */
  budget: count,
  /** Newest checkpoint; null if there is none. */
  checkpoint: z
    .strictObject({
      step: count,
      /** File in the trainer's folder or bucket. */
      file: z.string().max(128),
      /** Checksum stored in the file. */
      sha256: z.string().max(64),
    })
    .nullable(),
});
export type TrainedEnding = z.infer<typeof trainedSchema>;

const failedSchema = z.strictObject({
  outcome: z.literal('failed'),
  /** Error that ended the training. */
  message: z.string(),
});

const endingSchema = z.discriminatedUnion('outcome', [trainedSchema, failedSchema]);
export type TrainerEnding = z.infer<typeof endingSchema>;

/** Returns the termination message, with at most `TERMINATION_MESSAGE_BYTES`. Longer errors are truncated. */
export function encodeTrainerEnding(ending: TrainerEnding): string {
  if (ending.outcome !== 'failed') return JSON.stringify(ending);
  return JSON.stringify({ ...ending, message: ending.message.slice(0, ERROR_CHARACTERS) });
}

/** Returns the ending, or null for other texts. */
export function decodeTrainerEnding(text: string | undefined): TrainerEnding | null {
  try {
    return endingSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
}

/** Reports whether the budget is spent and the newest checkpoint is of the last step. */
export const provesCompletion = (ending: TrainedEnding): boolean =>
  ending.outcome === 'complete' &&
  ending.samples > 0 &&
  ending.samples >= ending.budget &&
  ending.checkpoint?.step === ending.step;
