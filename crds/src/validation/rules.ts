import type { PartialSpec } from './partial-spec.ts';
import type { ValidationError } from './path.ts';
import { bufferErrors } from './rules/buffers.ts';
import { dataErrors } from './rules/data.ts';
import { moduleErrors } from './rules/modules.ts';
import { objectiveErrors } from './rules/objectives.ts';
import { podErrors } from './rules/pods.ts';

/** Returns the violations of rules between fields. */
export const ruleErrors = (spec: PartialSpec): ValidationError[] => [
  ...dataErrors(spec),
  ...moduleErrors(spec),
  ...objectiveErrors(spec),
  ...bufferErrors(spec),
  ...budgetErrors(spec),
  ...storageErrors(spec),
  ...podErrors(spec),
];

function budgetErrors({ training }: PartialSpec): ValidationError[] {
  if (!training || (training.samples === undefined) !== (training.epochs === undefined)) return [];
  const has = training.samples === undefined ? 'neither samples nor epochs' : 'samples and epochs';
  return [{ path: ['spec', 'training'], message: `has ${has}; give one of the two` }];
}

function storageErrors({ checkpoints }: PartialSpec): ValidationError[] {
  const { storage } = checkpoints ?? {};
  if (!storage || (storage.volumeClaimName === undefined) !== (storage.objectStore === undefined)) {
    return [];
  }
  const message = 'must have exactly one of volumeClaimName and objectStore';
  return [{ path: ['spec', 'checkpoints', 'storage'], message }];
}
