import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { layerSchema } from '@greedy-infomax/crds';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { encoderParameters } from '../../trainer/src/model/encoder.ts';
import { size } from '../../trainer/src/step/function.ts';

/** The paper's encoders, as `make_fixtures.py` built them from PyTorch layers. */

const countsSchema = z.record(
  z.string(),
  z.array(z.object({ channelsIn: z.int(), layers: z.array(layerSchema), parameters: z.int() })),
);
const file = join(import.meta.dirname, 'fixtures/encoder-counts.json');
const encoders = Object.entries(countsSchema.parse(JSON.parse(readFileSync(file, 'utf8'))));

it.each(encoders)('%s has as many parameters as in PyTorch, module by module', (_, modules) => {
  expect(modules).toHaveLength(3);
  for (const { channelsIn, layers, parameters } of modules) {
    const made = encoderParameters(layers, [16, 16, channelsIn]);
    expect(made.reduce((sum, { shape }) => sum + size(shape), 0)).toBe(parameters);
  }
});

it.each(encoders)('%s has only convolution weights and biases, no normalization', (_, modules) => {
  for (const { channelsIn, layers } of modules) {
    for (const { name, shape } of encoderParameters(layers, [16, 16, channelsIn])) {
      expect(name).toMatch(/(conv\d|shortcut|layers\.\d)\.(weight|bias)$/);
      expect(shape).toHaveLength(name.endsWith('bias') ? 1 : 4);
    }
  }
});
