/** Errors that end a trainer early; `EXIT` of crds has an exit code for each. */

/** The configuration or the data cannot work; a retry would not help. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** The loss is not a finite number. */
export class DivergedError extends Error {
  override readonly name = 'DivergedError';
}
