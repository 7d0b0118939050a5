const ROUNDS = 6;

/**
 * Returns the index of the sample `ordinal` (counted over all epochs, from 0). Every epoch is another permutation of
 * 0 … length - 1. Depends on its arguments only, so training can continue anywhere in the order.
 */
export function datasetIndex(ordinal: number, length: number, seed: number): number {
  const epochSeed = hash32(seed, Math.floor(ordinal / length));
  let half = 1;
  while (4 ** half < length) half += 1;
  // A Feistel network permutes 2^(2 half) numbers. Numbers beyond the data set are permuted again (cycle walking),
  // which leaves a permutation of the others.
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
 * Returns a random 32-bit number that depends on `seed` and `key` only, not on earlier draws. Mixes like the finaliser of
 * MurmurHash3.
 */
export function hash32(seed: number, key: number): number {
  // Keys exceed 32 bits: ordinals count every sample of a training.
  const high = Math.floor(key / 0x1_0000_0000);
  return mix(mix(mix(seed ^ 0x9e3779b9) ^ high) ^ (key >>> 0));
}

function mix(value: number): number {
  let x = (value + 0x6d2b79f5) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
