/** A data set that is missing, damaged, or does not fit the run; trying again would not help. */
export class DataError extends Error {
  override readonly name = 'DataError';
}
