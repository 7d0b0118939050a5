import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { newestCheckpoint } from '../../operator/src/local/folder.ts';
import { decodeSafetensors } from '../../trainer/src/checkpoint/safetensors.ts';
import { TrainingError } from '../training.ts';
import { MODULES } from './run-file.ts';

/**
 * Digest of the weights and moments of all modules; equal only if they are equal to the last bit.
 */
export function digestOfWeights(out: string): string {
  const hash = createHash('sha256');
  for (const module of MODULES) {
    const file = newestCheckpoint(out, module);
    if (file === undefined) throw new TrainingError(`module ${module} has no checkpoint in ${out}`);
    const { tensors } = decodeSafetensors(readFileSync(file));
    for (const name of Object.keys(tensors).toSorted()) {
      const { data } = tensors[name] as (typeof tensors)[string];
      hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  }
  return hash.digest('hex').slice(0, 12);
}
