/** Errors of checkpoints. */

/** A file that is not a valid safetensors file, or tensors that cannot be encoded as one. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
}

/** A checkpoint that cannot be written, is damaged, or is missing where one is needed. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/** The bucket of the checkpoints is missing or does not answer, so its contents are unknown. */
export class BucketError extends Error {
  override readonly name = 'BucketError';
}

/** A valid checkpoint of another module, so training must not continue from it. */
export class ConfigMismatchError extends Error {
  override readonly name = 'ConfigMismatchError';
}
