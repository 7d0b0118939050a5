import { z } from 'zod';

/**
 * A trainer's last word: the termination message of its container, which stays in the pod's status. An exit code of 0
 * proves nothing alone: a wrapper whose child was killed, or another image, exits with 0, too.
 */

/** Bytes that the kubelet keeps of a termination message. */
export const TERMINATION_MESSAGE_BYTES = 4096;
/** Characters of an error message in it: JSON writes a control character in six bytes. */
const ERROR_CHARACTERS = 600;

const count = z.int().min(0);

/** A training that ended with exit code 0 (complete) or 2 (stopped). */
const trainedSchema = z.strictObject({
  /** complete: the budget is spent and no later module needs the trainer. stopped: by a signal before that. */
  outcome: z.enum(['complete', 'stopped']),
  /** Uid of the run. */
  run: z.string().max(64),
  module: z.string().max(64),
  replica: count,
  /** Optimizer steps made. */
  step: count,
  /** Samples that all trainers of the module have trained on, as far as this one knows. */
  samples: count,
  /** Samples that the module is to train on. */
  budget: count,
  /** Newest checkpoint; null if there is none. */
  checkpoint: z
    .strictObject({
      step: count,
      /** File in the trainer's folder or bucket. */
      file: z.string().max(128),
      /** Checksum that the file itself holds. */
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

/** Returns the termination message, at most `TERMINATION_MESSAGE_BYTES` long; a longer error is cut. */
export function encodeTrainerEnding(ending: TrainerEnding): string {
  if (ending.outcome !== 'failed') return JSON.stringify(ending);
  return JSON.stringify({ ...ending, message: ending.message.slice(0, ERROR_CHARACTERS) });
}

/** Returns the ending, or null for any other text. */
export function decodeTrainerEnding(text: string | undefined): TrainerEnding | null {
  try {
    return endingSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
}

/** Whether the budget is spent and the newest checkpoint is of the last step. */
export const provesCompletion = (ending: TrainedEnding): boolean =>
  ending.outcome === 'complete' &&
  ending.samples > 0 &&
  ending.samples >= ending.budget &&
  ending.checkpoint?.step === ending.step;
