import { createHash } from 'node:crypto';

/**
 * Lines of a window: a sample takes whole windows, so that it can contain mutants of several lines.
 */
const WINDOW = 8;

/**
 * Returns the sampled windows of a file of `lines` lines, as `first-last`, numbered from 1: one in
 * `oneIn` on average, by a hash of seed, file and window, so that a seed always gives the same
 * sample.
 */
export function windows(file: string, lines: number, oneIn: number, seed: number): string[] {
  return Array.from({ length: Math.ceil(lines / WINDOW) }, (_, i) => i)
    .filter((i) => {
      const hash = createHash('sha256').update(`${seed} ${file} ${i}`).digest();
      return hash.readUInt32LE() % oneIn === 0;
    })
    .map((i) => `${i * WINDOW + 1}-${Math.min(lines, (i + 1) * WINDOW)}`);
}
