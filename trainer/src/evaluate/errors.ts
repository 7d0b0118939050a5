/** The run cannot be evaluated, and a retry would not help. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError';
}
