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

/**
 * Numbers drawn by name rather than in sequence: the same for the same seed and key, whatever was drawn
 * before. 32 bits, mixed as by the finaliser of MurmurHash3.
 */
export function hash32(seed: number, key: number): number {
  // Keys grow beyond 32 bits: ordinals count every sample of a training.
  const high = Math.floor(key / 0x1_0000_0000);
  return mix(mix(mix(seed ^ 0x9e3779b9) ^ high) ^ (key >>> 0));
}

function mix(value: number): number {
  let x = (value + 0x6d2b79f5) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
