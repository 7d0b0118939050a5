import { expect, it } from 'vitest';
import { BucketError, CheckpointError, ConfigMismatchError, SafetensorsError } from './errors.ts';

it('errors of checkpoints carry their name, which logs and reports show', () => {
  const errors = { BucketError, CheckpointError, ConfigMismatchError, SafetensorsError };
  for (const [name, type] of Object.entries(errors)) {
    expect(`${new type('why')}`).toBe(`${name}: why`);
  }
});
