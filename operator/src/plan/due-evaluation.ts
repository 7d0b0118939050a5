/**
 * The newest multiple of `everySamples` that the slowest module, trained on `slowest` samples, has reached,
 * if the run was not evaluated there yet; `evaluated` is where it last was.
 */
export function dueEvaluation(
  everySamples: number,
  slowest: number,
  evaluated: number,
): number | undefined {
  const samples = Math.floor(slowest / everySamples) * everySamples;
  return samples > evaluated ? samples : undefined;
}
