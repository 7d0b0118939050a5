/** The run has nothing that can be read out, and will not have it later either. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError';
}
