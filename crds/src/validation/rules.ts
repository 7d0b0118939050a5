import type { Draft } from './partial-spec.ts';
import type { Mistake } from './path.ts';
import { bufferMistakes } from './rules/buffers.ts';
import { dataMistakes } from './rules/data.ts';
import { moduleMistakes } from './rules/modules.ts';
import { objectiveMistakes } from './rules/objectives.ts';
import { podMistakes } from './rules/pods.ts';

/** What fields ask of one another. */
export const ruleMistakes = (draft: Draft): Mistake[] => [
  ...dataMistakes(draft),
  ...moduleMistakes(draft),
  ...objectiveMistakes(draft),
  ...bufferMistakes(draft),
  ...budgetMistakes(draft),
  ...storageMistakes(draft),
  ...podMistakes(draft),
];

function budgetMistakes({ training }: Draft): Mistake[] {
  if (!training || (training.samples === undefined) !== (training.epochs === undefined)) return [];
  const has = training.samples === undefined ? 'neither samples nor epochs' : 'samples and epochs';
  return [{ path: ['spec', 'training'], message: `has ${has}; give one of the two` }];
}

function storageMistakes({ checkpoints }: Draft): Mistake[] {
  const { storage } = checkpoints ?? {};
  if (!storage || (storage.volumeClaimName === undefined) !== (storage.objectStore === undefined)) {
    return [];
  }
  const message = 'must have exactly one of volumeClaimName and objectStore';
  return [{ path: ['spec', 'checkpoints', 'storage'], message }];
}
