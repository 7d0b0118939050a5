import { type ModuleConfig, parseRun } from '@greedy-infomax/crds';
import { expect, it } from 'vitest';
import { planRun } from '../../../operator/src/plan/run.ts';
import { TINY } from '../../../test/support/gim.ts';
import { moduleWeights } from '../module/program.ts';
import { EVALUATION_BATCH, extractFeatures } from './features.ts';

const { modules } = planRun(parseRun(TINY, 'run.yaml'), { namespace: 'local', uid: '1' });
const weights = new Map(modules.map((module) => [module.name, moduleWeights(module)]));
const [first] = modules as [ModuleConfig];
if (first.source.kind !== 'data') throw new Error('the run has no images');
const pixelsPerImage = first.source.augmentation.crop ** 2 * first.input[3];

/** Two full batches and a short batch of noise images. The label of an image is its index. */
const COUNT = 2 * EVALUATION_BATCH + 30;
const image = (number: number) =>
  Uint8Array.from({ length: pixelsPerImage }, (_, i) => (number * 7919 + i * i * 31) & 255);

const features = (numbers: readonly number[]) =>
  extractFeatures(modules, weights, {
    length: numbers.length,
    async *batches() {
      for (let at = 0; at < numbers.length; at += EVALUATION_BATCH) {
        const own = numbers.slice(at, at + EVALUATION_BATCH);
        yield { pixels: Buffer.concat(own.map(image)), labels: Int32Array.from(own) };
      }
    },
  });

it('each image has its own features and label, independent of its batch', async () => {
  const numbers = Array.from({ length: COUNT }, (_, i) => i);
  const backwards = numbers.toReversed();
  const [forth, back] = [await features(numbers), await features(backwards)];
  expect([...forth.labels]).toEqual(numbers);
  expect([...back.labels]).toEqual(backwards);
  for (const { name, output } of modules) {
    const channels = output[3];
    const rows = (values: Float32Array | undefined) =>
      numbers.map((i) => [...(values ?? []).slice(i * channels, (i + 1) * channels)]);
    const own = rows(forth.byModule.get(name));
    expect(new Set(own.map(String)).size).toBeGreaterThan(COUNT / 4);
    for (const [i, row] of rows(back.byModule.get(name)).entries()) {
      const expected = own[COUNT - 1 - i] as number[];
      for (const [c, value] of row.entries()) expect(value).toBeCloseTo(expected[c] as number, 4);
    }
  }
});
