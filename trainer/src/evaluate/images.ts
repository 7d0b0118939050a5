import { openEvaluationImages } from '../data/batches.ts';
import { EvaluationError } from './errors.ts';
import { EVALUATION_BATCH, extractFeatures, type ImageSource } from './features.ts';
import type { Subject } from './subject.ts';

/** Opens images with their classes. Throws an `EvaluationError` if there are no classes, or a `DataError`. */
export async function openImageSubject({ data, augmentation }: ImageSource): Promise<Subject> {
  const open = (split: 'labelled' | 'test') =>
    openEvaluationImages({ data, augmentation, split, batchSize: EVALUATION_BATCH });
  const splits = { labelled: await open('labelled'), test: await open('test') };
  if (splits.labelled.classes === 0 || splits.test.classes === 0) {
    throw new EvaluationError(`the data set (${data.format}) has no labels to evaluate with`);
  }
  return {
    questions: [{ name: 'class', classes: splits.labelled.classes, rows: 1 }],
    async features(modules, weights, split) {
      const { byModule, labels } = await extractFeatures(modules, weights, splits[split]);
      const labelled = [...byModule].map(
        ([name, features]) => [name, { features, labels }] as const,
      );
      return new Map([['class', new Map(labelled)]]);
    },
  };
}
