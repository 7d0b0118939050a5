import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { UMAP } from 'umap-js';
import type { LabelledFeatures } from './linear-probe.ts';

/** Embeds features in a plane with UMAP: samples with similar features are close to each other. */

export interface EmbeddedPoint {
  x: number;
  y: number;
  label: number;
}

/** Maximum number of classes and of samples: more colours are hard to distinguish. */
const CLASSES = 10;
const POINTS = 500;
const NEIGHBOURS = 15;

/**
 * Returns points for at most `POINTS` samples, evenly spread, of the `CLASSES` lowest labels. Deterministic. Empty if there
 * are too few samples for `NEIGHBOURS`.
 */
export function embed({ features, labels }: LabelledFeatures): EmbeddedPoint[] {
  const shown = new Set([...new Set(labels)].toSorted((a, b) => a - b).slice(0, CLASSES));
  const all = Array.from(labels.keys()).filter((i) => shown.has(labels[i] as number));
  const step = Math.max(1, all.length / POINTS);
  const count = Math.min(all.length, POINTS);
  const rows = Array.from({ length: count }, (_, i) => all[Math.floor(i * step)] as number);
  if (rows.length <= NEIGHBOURS) return [];
  const random = xoroshiro128plus(1);
  const umap = new UMAP({ nNeighbors: NEIGHBOURS, random: () => uniformFloat32(random) });
  const points = umap.fit(standardised(features, features.length / labels.length, rows));
  return points.map(([x, y], i) => ({
    x: rounded(x as number),
    y: rounded(y as number),
    label: labels[rows[i] as number] as number,
  }));
}

/** Returns the rows, every channel with mean 0 and deviation 1, as for a linear probe. */
function standardised(features: Float32Array, channels: number, rows: readonly number[]) {
  const value = (row: number, channel: number) => features[row * channels + channel] as number;
  const out = rows.map(() => new Array<number>(channels).fill(0));
  for (let channel = 0; channel < channels; channel += 1) {
    const mean = rows.reduce((sum, row) => sum + value(row, channel), 0) / rows.length;
    const variance =
      rows.reduce((sum, row) => sum + (value(row, channel) - mean) ** 2, 0) / rows.length;
    const inverse = variance > 0 ? 1 / Math.sqrt(variance) : 0;
    for (const [i, row] of rows.entries()) {
      (out[i] as number[])[channel] = (value(row, channel) - mean) * inverse;
    }
  }
  return out;
}

const rounded = (x: number): number => Number(x.toFixed(3));
