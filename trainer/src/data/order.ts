import { hash32 } from './hash.ts';

const ROUNDS = 6;

/**
 * The image that the sample `ordinal` (counted over all epochs, from 0) is: every epoch is a permutation
 * of 0 … length - 1 of its own. Depends on nothing else, so training can go on anywhere in the order.
 */
export function datasetIndex(ordinal: number, length: number, seed: number): number {
  const epochSeed = hash32(seed, Math.floor(ordinal / length));
  let half = 1;
  while (4 ** half < length) half += 1;
  // A Feistel network permutes 2^(2 half) numbers; those beyond the data set are sent round again, which
  // leaves a permutation of the others.
  let index = ordinal % length;
  do index = feistel(index, half, epochSeed);
  while (index >= length);
  return index;
}

function feistel(value: number, half: number, seed: number): number {
  const mask = 2 ** half - 1;
  let left = Math.floor(value / 2 ** half);
  let right = value & mask;
  for (let round = 0; round < ROUNDS; round += 1) {
    [left, right] = [right, left ^ (hash32(seed + round, right) & mask)];
  }
  return left * 2 ** half + right;
}
