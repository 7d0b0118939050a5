/**
 * Modules that may end: those whose later modules have all spent their budget, so that nobody needs
 * their activations any more. The last module never feeds anyone.
 * `modules` are in the order of the network; `spent` holds those that have spent their budget.
 */
export function releasable(modules: readonly string[], spent: ReadonlySet<string>): string[] {
  const lastBusy = modules.findLastIndex((module) => !spent.has(module));
  return modules.slice(Math.max(0, lastBusy));
}
