import { expect, test } from 'vitest';
import { type Layer, layersCost, ShapeError } from './layers.ts';

const RESNET_50: { layers: Layer[]; channelsIn: number; size: number; parameters: number }[] = [
  {
    layers: [
      { type: 'conv', channels: 64, kernel: 5 },
      { type: 'bottleneck', channels: 64, repeat: 3 },
    ],
    channelsIn: 1,
    size: 16,
    parameters: 216_064,
  },
  {
    layers: [{ type: 'bottleneck', channels: 128, stride: 2, repeat: 4 }],
    channelsIn: 256,
    size: 16,
    parameters: 1_216_000,
  },
  {
    layers: [{ type: 'bottleneck', channels: 256, stride: 2, repeat: 6 }],
    channelsIn: 512,
    size: 8,
    parameters: 7_088_128,
  },
];

test.each(RESNET_50)(
  'the paper’s ResNet-50 has a module of $parameters parameters',
  ({ layers, channelsIn, size, parameters }) => {
    expect(layersCost(layers, [size, size, channelsIn]).parameters).toBe(parameters);
  },
);

test('a convolution multiplies each weight once for each position that it puts out', () => {
  const layer: Layer = { type: 'conv', channels: 4, kernel: 3, stride: 2 };
  expect(layersCost([layer], [8, 6, 2])).toEqual({
    parameters: 3 * 3 * 2 * 4 + 4,
    macs: 4 * 3 * (3 * 3 * 2 * 4),
  });
});

test('a block that keeps its shape has no shortcut to compute', () => {
  const layer: Layer = { type: 'residual', channels: 2 };
  const weights = 3 * 3 * 2 * 2;
  expect(layersCost([layer], [5, 5, 2])).toEqual({
    parameters: 2 * (weights + 2),
    macs: 2 * 25 * weights,
  });
});

test('a block that strides computes its first convolution and its shortcut for the smaller shape', () => {
  const layer: Layer = { type: 'residual', channels: 3, stride: 2 };
  expect(layersCost([layer], [4, 4, 2]).macs).toBe(4 * (9 * 2 * 3 + 9 * 3 * 3 + 2 * 3));
});

test('layers that do not fit are refused as in a run file', () => {
  const layer: Layer = { type: 'conv', channels: 2, kernel: 5, padding: 0 };
  expect(() => layersCost([layer, layer], [6, 6, 1])).toThrow(ShapeError);
});
