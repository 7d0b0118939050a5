import { attribute, type RecordedOp, type Recording } from '../recorder.ts';

/** Convolutions and their gradients in a recording. */

type Maps = [patches: number, rows: number, cols: number, channels: number];
type Zeros = [before: number, after: number];

export interface Convolution {
  /** Input of the convolution, or its gradient. */
  input: { id: number; shape: Maps };
  kernel: [rows: number, cols: number, channelsIn: number, channels: number];
  output: Maps;
  strides: [rows: number, cols: number];
  /** Zeros around the input. */
  padding: [rows: Zeros, cols: Zeros];
}

type Shapes = ReadonlyMap<number, readonly number[]>;

/** Returns the ids of input, kernel and output by op; an op's own result is its last id. */
const TENSORS: Record<string, (ids: number[]) => (number | undefined)[]> = {
  Conv2D: ([x, kernel, y]) => [x, kernel, y],
  Conv2DBackpropFilter: ([x, , dy, kernel]) => [x, kernel, dy],
  Conv2DBackpropInput: ([, kernel, dy, dx]) => [dx, kernel, dy],
};

/** Returns the convolution that `op` computes or has a gradient of; undefined for other ops and unknown shapes. */
export function convolutionOf(op: RecordedOp, shapes: Shapes): Convolution | undefined {
  const ids = TENSORS[op.op]?.([...op.inputs, ...op.outputs.map(({ id }) => id)]) ?? [];
  const [shape, kernel, output] = ids.map((id = -1) => shapes.get(id));
  if (!shape || !kernel || !output) return undefined;
  const [, ...strides] = attribute(op, 'strides') as [1, number, number, 1];
  const same = attribute(op, 'padding') === 'SAME';
  const zeros = (axis: 0 | 1): Zeros => {
    const [positions, outputs] = [shape, output].map((of) => of[axis + 1]) as [number, number];
    const needed = (outputs - 1) * (strides[axis] as number) + (kernel[axis] as number);
    const missing = same ? Math.max(needed - positions, 0) : 0;
    return [missing >> 1, missing - (missing >> 1)];
  };
  return {
    input: { id: ids[0] as number, shape: shape as Maps },
    kernel: kernel as Convolution['kernel'],
    output: output as Maps,
    strides: [strides[0], strides[1]],
    padding: [zeros(0), zeros(1)],
  };
}

/** Returns the convolution with an explicit Pad of its input folded into the padding. */
export function withoutPad(
  convolution: Convolution,
  { ops, constants }: Recording,
  shapes: Shapes,
): Convolution {
  const { input, padding } = convolution;
  const pad = ops.find(
    ({ op, outputs }) => op === 'PadV2' && outputs.some(({ id }) => id === input.id),
  );
  if (!pad) return convolution;
  const [x, around, value] = pad.inputs as [number, number, number];
  const shape = shapes.get(x);
  const zeros = constants.get(around)?.values;
  if (shape?.length !== 4 || !zeros || constants.get(value)?.values[0] !== 0) return convolution;
  const added = (axis: 0 | 1): Zeros => {
    const at = 2 * (axis + 1);
    const [before, after] = padding[axis];
    return [before + (zeros[at] as number), after + (zeros[at + 1] as number)];
  };
  return {
    ...convolution,
    input: { id: x, shape: shape as Maps },
    padding: [added(0), added(1)],
  };
}

/** Part of a row or column that an output reads: input positions and the kernel positions that read them. */
export interface Window {
  /** First input position. */
  begin: number;
  /** Kernel position that reads it. */
  kernelBegin: number;
  /** Number of input positions, without padding. */
  positions: number;
}

/** Returns the window of each output along rows (0) or columns (1). */
export function windowsAlong(
  { input, kernel, output, strides, padding }: Convolution,
  axis: 0 | 1,
): Window[] {
  return Array.from({ length: output[axis + 1] as number }, (_, i) => {
    const first = i * strides[axis] - padding[axis][0];
    const begin = Math.max(first, 0);
    const end = Math.min(first + kernel[axis], input.shape[axis + 1] as number);
    return { begin, kernelBegin: begin - first, positions: Math.max(end - begin, 0) };
  });
}
