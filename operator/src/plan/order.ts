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

/** Those of `modules`, in the order of the network, that wait for nobody. `spent` holds those without budget left. */
export const mayBegin = (
  order: RunSpec['order'],
  modules: readonly string[],
  spent: ReadonlySet<string>,
): string[] =>
  modules.filter((_, i) => {
    const earlier = modules.slice(0, i).map((name) => ({ name, spent: spent.has(name) }));
    return waitsFor(order, earlier) === undefined;
  });
