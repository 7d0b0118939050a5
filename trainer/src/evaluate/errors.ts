/** The run has nothing to evaluate, and will not have it later either. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError';
}
