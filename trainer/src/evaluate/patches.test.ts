import { parseRun } from '@greedy-infomax/crds';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { planRun } from '../../../operator/src/plan/run.ts';
import { excitingPatches } from './patches.ts';

/** Tests with digits and a module whose two units are the brightness and the darkness of a patch. */

const RUN = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata: { name: small }
spec:
  data: { format: digits }
  augmentation: { crop: 24 }
  patches: { size: 8, stride: 8 }
  modules:
    - { name: light, layers: [{ type: conv, channels: 2, kernel: 1 }] }
  objective: { type: infoNCE, predictionSteps: 1 }
  training: { samples: 640 }
`;

it('shows the patches at which a unit is highest, strongest first', async () => {
  const { modules } = planRun(parseRun(RUN, 'run.yaml'), { namespace: 'local', uid: '1' });
  const weights = new Map([
    [
      'light',
      {
        'layers.0.weight': { shape: [1, 1, 1, 2], values: Float32Array.of(1, -1) },
        'layers.0.bias': { shape: [2], values: Float32Array.of(0, 0) },
      },
    ],
  ]);
  const choice = { units: 2, patches: 4, images: 120 };
  const picture = (await excitingPatches(modules, weights, choice)).get('light');
  expect(picture?.units).toEqual([0, 1]);
  const { data, info } = await sharp(picture?.png).raw().toBuffer({ resolveWithObject: true });
  // Patches of 8 pixels, enlarged 4 times, 2 pixels apart.
  expect([info.width, info.height, info.channels]).toEqual([4 * 34 - 2, 2 * 34 - 2, 3]);
  const light = (row: number, column: number): number => {
    let sum = 0;
    for (let y = 0; y < 32; y += 1) {
      for (let x = 0; x < 32; x += 1) {
        sum += data[3 * ((34 * row + y) * info.width + 34 * column + x)] as number;
      }
    }
    return sum / 1024;
  };
  const bright = [0, 1, 2, 3].map((column) => light(0, column));
  expect(bright).toEqual(bright.toSorted((a, b) => b - a));
  expect(bright[3]).toBeGreaterThan(100);
  expect([0, 1, 2, 3].map((column) => light(1, column))).toEqual([0, 0, 0, 0]);
});
