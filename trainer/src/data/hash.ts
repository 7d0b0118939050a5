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
