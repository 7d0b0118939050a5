/** A data set that is missing, damaged, or does not fit the run; a retry would not help. */
export class DataError extends Error {
  override readonly name = 'DataError';
}
