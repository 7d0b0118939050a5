import { describe, expect, test } from 'vitest';
import { type Layer, layersCost, ShapeError, stepMacs } from './layers.ts';

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
  expect(layersCost([layer], [8, 6, 2])).toMatchObject({
    parameters: 3 * 3 * 2 * 4 + 4,
    macs: 4 * 3 * (3 * 3 * 2 * 4),
  });
});

test('a block that keeps its shape has no shortcut to compute', () => {
  const layer: Layer = { type: 'residual', channels: 2 };
  const weights = 3 * 3 * 2 * 2;
  expect(layersCost([layer], [5, 5, 2])).toMatchObject({
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

test('zeros of padding are no work', () => {
  const layer: Layer = { type: 'conv', channels: 3, kernel: 3 };
  // Each of the four positions sees all four, and five zeros.
  expect(layersCost([layer], [2, 2, 5])).toMatchObject({
    macs: 4 * 9 * 5 * 3,
    effectiveMacs: 4 * 4 * 5 * 3,
  });
  // Nothing but padding under the positions at the corners.
  const wide: Layer = { type: 'conv', channels: 1, kernel: 1, padding: 2 };
  expect(layersCost([wide], [2, 3, 1])).toMatchObject({ macs: 6 * 7, effectiveMacs: 2 * 3 });
  const along: Layer = { type: 'conv1d', channels: 1, kernel: 4, stride: 2, padding: 1 };
  expect(layersCost([along], [6, 1, 1])).toMatchObject({ macs: 3 * 4, effectiveMacs: 3 + 4 + 3 });
});

describe('a training step', () => {
  const conv: Layer = { type: 'conv', channels: 2, kernel: 1 };

  test('takes as much again for the weights, and for what comes into all layers but the first', () => {
    expect(stepMacs([conv], [4, 4, 3])).toBe(2 * 16 * 3 * 2);
    expect(stepMacs([conv, conv], [4, 4, 3])).toBe(2 * 16 * 3 * 2 + 3 * 16 * 2 * 2);
  });

  test('needs no gradient for either path of a first block', () => {
    const strided: Layer = { type: 'bottleneck', channels: 1, stride: 2, repeat: 2 };
    // 2 x 2 becomes 1 x 1: the 3 x 3 filter meets four values in the first block, and one in the second.
    const [input, shortcut] = [4 * 2 * 1, 2 * 4];
    const others = 4 + 1 * 4 + (4 * 1 + 1 + 1 * 4);
    expect(stepMacs([strided], [2, 2, 2])).toBe(2 * (input + shortcut) + 3 * others);
  });

  test('of recurrent units needs no gradient of what they read, but of their states', () => {
    const units: Layer = { type: 'gru', channels: 2 };
    expect(stepMacs([units], [5, 1, 3])).toBe(5 * 3 * 2 * (2 * 3 + 3 * 2));
  });
});
