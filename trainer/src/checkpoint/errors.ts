/** Ways for a checkpoint to be of no use. */

/** A file that is no valid safetensors file, or tensors that cannot become one. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
}

/** A checkpoint that could not be written, or that is missing where one is needed. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/** The bucket of the checkpoints is not there, or does not answer; what it holds is not known. */
export class BucketError extends Error {
  override readonly name = 'BucketError';
}

/** A good checkpoint, but of another module: going on from it would give something that is neither. */
export class ConfigMismatchError extends Error {
  override readonly name = 'ConfigMismatchError';
}
