import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LayerCost, PatchShape, Steps } from './convolution.ts';
import { applyLayers, convDefaults, type Layer, layersCost, ShapeError } from './layers.ts';

/** Counts costs one by one: each position of the kernel, each of its values, each block. */

const BODIES = {
  residual: [
    { kernel: 3, expansion: 1, strides: true },
    { kernel: 3, expansion: 1, strides: false },
  ],
  bottleneck: [
    { kernel: 1, expansion: 1, strides: false },
    { kernel: 3, expansion: 1, strides: true },
    { kernel: 1, expansion: 4, strides: false },
  ],
};

function along(size: number, { kernel, stride, padding }: Steps) {
  let positions = 0;
  let met = 0;
  for (let at = -padding; at + kernel <= size + padding; at += stride) {
    positions += 1;
    for (let i = at; i < at + kernel; i++) if (i >= 0 && i < size) met += 1;
  }
  return { positions, met };
}

type Counted = Omit<LayerCost, 'effectiveInputMacs'> & {
  output: PatchShape;
  /** Whether the convolution reads the input of the layer. */
  readsInput?: boolean;
};

function counted([rows, cols]: [Steps, Steps], input: PatchShape, channels: number): Counted {
  const [down, across] = [along(input[0], rows), along(input[1], cols)];
  const weights = rows.kernel * cols.kernel * input[2] * channels;
  return {
    output: [down.positions, across.positions, channels],
    parameters: weights + channels,
    macs: down.positions * across.positions * weights,
    effectiveMacs: down.met * across.met * input[2] * channels,
  };
}

/** The convolutions of a layer, one after another. */
function* convolutions(layer: Layer, input: PatchShape): Generator<Counted> {
  if (layer.type === 'conv' || layer.type === 'conv1d') {
    const steps = convDefaults(layer);
    const across = layer.type === 'conv' ? steps : { kernel: 1, stride: 1, padding: 0 };
    yield { ...counted([steps, across], input, layer.channels), readsInput: true };
    return;
  }
  let shape = input;
  for (let block = 0; block < (layer.repeat ?? 1); block++) {
    const before = shape;
    const stride = block === 0 ? (layer.stride ?? 1) : 1;
    for (const { kernel, expansion, strides } of BODIES[layer.type as keyof typeof BODIES]) {
      const steps = { kernel, stride: strides ? stride : 1, padding: (kernel - 1) / 2 };
      const next = counted([steps, steps], shape, layer.channels * expansion);
      yield { ...next, readsInput: shape === input };
      shape = next.output;
    }
    const shortcut = { kernel: 1, stride, padding: 0 };
    if (stride !== 1 || before[2] !== shape[2]) {
      const reads = { output: shape, readsInput: before === input };
      yield { ...counted([shortcut, shortcut], before, shape[2]), ...reads };
    }
  }
}

const int = (min: number, max: number) => fc.integer({ min, max });
const layer: fc.Arbitrary<Layer> = fc.oneof(
  fc.record({
    type: fc.constantFrom('conv' as const, 'conv1d' as const),
    channels: int(1, 4),
    kernel: int(1, 9),
    stride: int(1, 5),
    padding: int(0, 6),
  }),
  fc.record({
    type: fc.constantFrom('residual' as const, 'bottleneck' as const),
    channels: int(1, 4),
    stride: int(1, 3),
    repeat: int(1, 5),
  }),
);
const shape: fc.Arbitrary<PatchShape> = fc.tuple(int(1, 14), int(1, 14), int(1, 8));

describe('the cost and the shape of a layer', () => {
  it('are those of counting each position, value and block', () => {
    let fits = 0;
    fc.assert(
      fc.property(layer, shape, (layer, input) => {
        let applied: ReturnType<typeof applyLayers>;
        try {
          applied = applyLayers([layer], input);
        } catch (error) {
          expect(error).toBeInstanceOf(ShapeError);
          return;
        }
        fits += 1;
        const each = [...convolutions(layer, input)];
        const total = (of: 'parameters' | 'macs' | 'effectiveMacs') =>
          each.reduce((sum, one) => sum + one[of], 0);
        expect(applied.output).toEqual(each.at(-1)?.output);
        expect(applied.cost).toMatchObject({
          parameters: total('parameters'),
          macs: total('macs'),
          effectiveMacs: total('effectiveMacs'),
          effectiveInputMacs: each.reduce(
            (sum, { effectiveMacs, readsInput }) => sum + (readsInput ? effectiveMacs : 0),
            0,
          ),
        });
      }),
      { seed: 29, numRuns: 3000 },
    );
    expect(fits).toBeGreaterThan(2000);
  });

  // A loop over positions or blocks would not come back.
  it('take the same time for any size and repeat', () => {
    const size = 2 ** 40;
    expect(
      layersCost([{ type: 'conv1d', channels: 1, kernel: 3 }], [size, 1, 1]).effectiveMacs,
    ).toBe(3 * size - 2);
    const block: Layer = { type: 'residual', channels: 1, repeat: 2 ** 40 };
    expect(layersCost([block], [1, 1, 1])).toEqual({
      parameters: 2 ** 40 * 20,
      macs: 2 ** 40 * 18,
      effectiveMacs: 2 ** 40 * 2,
      effectiveInputMacs: 1,
    });
  });
});
