import type { RunSpec } from '@greedy-infomax/crds';

/**
 * The module that another one waits for before it begins: in iterative order the first of those before it that has
 * not spent its budget. `earlier` are in the order of the network.
 */
export const waitsFor = (
  order: RunSpec['order'],
  earlier: readonly { name: string; spent: boolean }[],
): string | undefined =>
  order === 'iterative' ? earlier.find(({ spent }) => !spent)?.name : undefined;

/**
 * Returns the modules that wait for no other, in the order of the network. `spent` holds those without budget
 * left.
 */
export const mayBegin = (
  order: RunSpec['order'],
  modules: readonly string[],
  spent: ReadonlySet<string>,
): string[] =>
  modules.filter((_, i) => {
    const earlier = modules.slice(0, i).map((name) => ({ name, spent: spent.has(name) }));
    return waitsFor(order, earlier) === undefined;
  });

/**
 * Returns the modules that may end: their later modules have all spent their budget and need no more of their
 * output. The last module has no consumer. `modules` are in the order of the network; `spent` holds those that
 * have spent their budget.
 */
export function releasable(modules: readonly string[], spent: ReadonlySet<string>): string[] {
  const lastBusy = modules.findLastIndex((module) => !spent.has(module));
  return modules.slice(Math.max(0, lastBusy));
}
