/** Ways for a trainer to end early; `EXIT` of crds has a code for each. */

/** The configuration or the data cannot work; trying again would not help. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** The loss is not a finite number. */
export class DivergedError extends Error {
  override readonly name = 'DivergedError';
}
