import { POD_BYTES_MAX } from '../v1alpha1/run.ts';
import type { Draft } from './partial-spec.ts';
import type { Mistake } from './path.ts';
import { bufferMistakes } from './rules/buffers.ts';
import { dataMistakes } from './rules/data.ts';
import { moduleMistakes } from './rules/modules.ts';
import { objectiveMistakes } from './rules/objectives.ts';

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

/** Each module's Job has a copy of them. */
function podMistakes({ podTemplate, resources }: Draft): Mistake[] {
  const bytes = Buffer.byteLength(JSON.stringify([podTemplate, resources]));
  if (bytes <= POD_BYTES_MAX) return [];
  const message = `has ${bytes} bytes as JSON, spec.resources included; it must have at most ${POD_BYTES_MAX}, as each module's Job has a copy`;
  return [{ path: ['spec', podTemplate ? 'podTemplate' : 'resources'], message }];
}
