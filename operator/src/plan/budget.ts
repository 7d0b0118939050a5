import type { RunSpec } from '@greedy-infomax/crds';

/** A run that cannot be planned for the data set it names. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

/**
 * Samples that a module trains on, rounded up to whole batches.
 * Throws a `PlanError` when epochs are asked for and the size of the data set is not known.
 */
export function budgetOf(
  { samples, epochs }: RunSpec['training'],
  batchSize: number,
  dataSetSize: number | undefined,
): number {
  const wanted = samples ?? (epochs ?? 0) * sizeFor(epochs, dataSetSize);
  return Math.max(1, Math.ceil(wanted / batchSize)) * batchSize;
}

function sizeFor(epochs: number | undefined, dataSetSize: number | undefined): number {
  if (dataSetSize !== undefined) return dataSetSize;
  throw new PlanError(
    `training.epochs is ${epochs}, but the size of the data set is not known; give training.samples`,
  );
}

/** Module 0 draws whole batches from the data set. */
export function checkBatchFits(batchSize: number, dataSetSize: number | undefined): void {
  if (dataSetSize === undefined || batchSize <= dataSetSize) return;
  throw new PlanError(
    `batchSize is ${batchSize}, but the data set has only ${dataSetSize} samples; make batchSize at most ${dataSetSize}`,
  );
}
