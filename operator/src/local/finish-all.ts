/** Work whose clean-up steps do not depend on each other. */

/** Adds a step that is carried out at the end, whatever happened before. */
export type AtEnd = (step: () => unknown) => void;

/**
 * Does `work`, then the steps that it added, newest first. Each step is carried out whether or not `work` or another step
 * failed. Rejects with the error of `work` if there is one, else with the first of a step.
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
