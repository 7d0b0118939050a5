/** Work whose clean-up steps do not depend on each other. */

/** Adds a clean-up step that always runs at the end. */
export type AtEnd = (step: () => unknown) => void;

/**
 * Runs `work`, then the steps that it added, newest first. Each step runs even if `work` or another step failed.
 * Rejects with the error of `work` if it failed, else with the first error of a step.
 */
export async function finishAll<T>(work: (atEnd: AtEnd) => Promise<T>): Promise<T> {
  const steps: (() => unknown)[] = [];
  const errors: unknown[] = [];
  let result: T | undefined;
  try {
    result = await work((step) => steps.push(step));
  } catch (error) {
    errors.push(error);
  }
  for (const step of steps.reverse()) {
    try {
      await step();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return result as T;
}
