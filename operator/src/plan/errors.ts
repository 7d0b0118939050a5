/** A run that cannot be planned for the data set it names. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}
