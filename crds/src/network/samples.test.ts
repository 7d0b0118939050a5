import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Augmentation, Data, Objective, Patches } from '../v1alpha1/run.ts';
import { gridSize, imageChannels, imageSize, trainingImages, trainingSplit } from './images.ts';
import { applyLayers, LAYERS, type Layer, targetLayers, unknownFields } from './layers.ts';
import { domainOf, samplesOf } from './sample-shape.ts';

const FORMATS = ['digits', 'cifar10', 'stl10', 'idx', 'images', 'librispeech', 'wav'] as const;
const data = (format: Data['format']) => ({ format }) as Data;
const augmentation = (crop: number, grayscale = false): Augmentation => ({
  pad: 0,
  crop,
  flip: false,
  grayscale,
});

describe('a data set', () => {
  it('has the image size of its release, and none where only its files can tell', () => {
    const sizes = FORMATS.map((format) => [format, imageSize(data(format))]);
    expect(Object.fromEntries(sizes)).toEqual({ digits: 28, cifar10: 32, stl10: 96 });
  });

  it('has three channels, one where it is gray or made gray', () => {
    const channels = (grayscale: boolean) =>
      FORMATS.slice(0, 5).map((format) => imageChannels(data(format), augmentation(8, grayscale)));
    expect(channels(false)).toEqual([1, 3, 3, 1, 3]);
    expect(channels(true)).toEqual([1, 1, 1, 1, 1]);
  });

  it('has the images of its release, those with labels for objectives that learn labels', () => {
    const images = (type: Objective['type']) =>
      FORMATS.map((format) => [format, trainingImages(data(format), { type })]);
    const unlabelled = { digits: 8000, cifar10: 50_000, stl10: 100_000 };
    for (const type of ['infoNCE', 'deepInfoMax'] as const) {
      expect(Object.fromEntries(images(type))).toEqual(unlabelled);
      expect(trainingSplit({ type })).toBe('train');
    }
    for (const type of ['classLabels', 'predSim'] as const) {
      expect(Object.fromEntries(images(type))).toEqual({ ...unlabelled, stl10: 5000 });
      expect(trainingSplit({ type })).toBe('labelled');
    }
  });

  it('is speech for LibriSpeech and WAV files, and images for all others', () => {
    const speech = FORMATS.filter((format) => domainOf(data(format)) === 'speech');
    expect(speech).toEqual(['librispeech', 'wav']);
    expect(FORMATS.filter((format) => domainOf(data(format)) === 'images')).toHaveLength(5);
  });
});

describe('the samples of a run', () => {
  const patches: Patches = { size: 16, stride: 8 };
  const window = { samples: 20_480, normalize: { mean: 0, std: 1 } };

  it('are a grid of all patches that fit into the crop', () => {
    const numbers = fc.record({
      crop: fc.integer({ min: 1, max: 96 }),
      size: fc.integer({ min: 1, max: 96 }),
      stride: fc.integer({ min: 1, max: 96 }),
    });
    fc.assert(
      fc.property(numbers, ({ crop, size, stride }) => {
        fc.pre(size <= crop);
        let fit = 0;
        for (let at = 0; at + size <= crop; at += stride) fit += 1;
        expect(gridSize(augmentation(crop), { size, stride })).toBe(fit);
      }),
    );
  });

  it('are patches of images, and one long sequence of speech', () => {
    const images = { data: data('stl10'), augmentation: augmentation(64), patches };
    expect(samplesOf(images)).toEqual({
      source: { kind: 'data', ...images },
      grid: [7, 7],
      patches: 49,
      shape: [16, 16, 3],
    });
    const speech = { data: data('wav'), window };
    expect(samplesOf(speech)).toEqual({
      source: { kind: 'speech', ...speech },
      grid: null,
      patches: 1,
      shape: [20_480, 1, 1],
    });
  });

  it('are unknown while a field that makes them is missing', () => {
    const images = { data: data('stl10'), augmentation: augmentation(64), patches };
    expect(samplesOf({ ...images, data: undefined })).toBeUndefined();
    expect(samplesOf({ ...images, augmentation: undefined })).toBeUndefined();
    expect(samplesOf({ ...images, patches: undefined })).toBeUndefined();
    expect(samplesOf({ ...images, data: data('wav') })).toBeUndefined();
    expect(samplesOf({ data: data('stl10'), window })).toBeUndefined();
  });
});

describe('layers', () => {
  const conv: Layer = { type: 'conv', channels: 4 };
  const gru: Layer = { type: 'gru', channels: 4 };

  it('are refused with their number, their type and their input', () => {
    expect(() => applyLayers([conv, { ...conv, kernel: 7, padding: 1 }], [4, 4, 3])).toThrow(
      expect.objectContaining({
        name: 'ShapeError',
        message:
          'layers[1] (conv) with input [4, 4, 4]: a kernel of 7 does not fit into 4 positions with padding 1; use a smaller kernel, more padding, or smaller strides before it',
      }),
    );
    expect(() => applyLayers([gru], [4, 3, 2])).toThrow(/layers\[0\] \(gru\).*3 columns/);
    expect(applyLayers([gru], [4, 1, 2]).output).toEqual([4, 1, 4]);
  });

  it('count MACs of the input only in the first layer', () => {
    const [first, second] = [applyLayers([conv], [4, 4, 3]), applyLayers([conv], [4, 4, 4])];
    const both = applyLayers([conv, conv], [4, 4, 3]);
    expect(first.cost.effectiveInputMacs).toBe(first.cost.effectiveMacs);
    expect(both.cost).toEqual({
      parameters: first.cost.parameters + second.cost.parameters,
      macs: first.cost.macs + second.cost.macs,
      effectiveMacs: first.cost.effectiveMacs + second.cost.effectiveMacs,
      effectiveInputMacs: first.cost.effectiveInputMacs,
    });
    expect(applyLayers([], [4, 4, 3])).toEqual({
      output: [4, 4, 3],
      cost: { parameters: 0, macs: 0, effectiveMacs: 0, effectiveInputMacs: 0 },
    });
  });

  it('read relu(x) alone where both paths of their first block do', () => {
    const reads = (layer: Layer, channels: number) =>
      LAYERS[layer.type].readsRectified(layer, channels);
    expect(reads({ type: 'residual', channels: 8 }, 8)).toBe(false);
    expect(reads({ type: 'residual', channels: 8 }, 4)).toBe(true);
    expect(reads({ type: 'residual', channels: 8, stride: 2 }, 8)).toBe(true);
    expect(reads({ type: 'bottleneck', channels: 8 }, 32)).toBe(false);
    expect(reads({ type: 'bottleneck', channels: 8 }, 8)).toBe(true);
    for (const type of ['conv', 'conv1d', 'gru'] as const) {
      expect(reads({ type, channels: 8, stride: 2 }, 4)).toBe(false);
    }
  });

  it('take the fields of their type, and each type has its own', () => {
    const all = { kernel: 3, stride: 2, padding: 1, activation: 'relu', repeat: 2, bptt: true };
    const unknown = (type: Layer['type']) =>
      unknownFields({ type, channels: 8, ...all } as Layer).sort();
    for (const type of ['conv', 'conv1d'] as const)
      expect(unknown(type)).toEqual(['bptt', 'repeat']);
    for (const type of ['residual', 'bottleneck'] as const) {
      expect(unknown(type)).toEqual(['activation', 'bptt', 'kernel', 'padding']);
    }
    expect(unknown('gru')).toEqual(['activation', 'kernel', 'padding', 'repeat', 'stride']);
  });

  it('before a gru layer at the end make the target; without one all do', () => {
    expect(targetLayers([conv, gru])).toEqual([conv]);
    expect(targetLayers([gru, conv])).toEqual([gru, conv]);
    expect(targetLayers([])).toEqual([]);
  });
});
