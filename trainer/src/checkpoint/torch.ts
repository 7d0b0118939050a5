import type { Layer } from '@greedy-infomax/crds';
import { CheckpointError } from './errors.ts';
import type { StoredTensor } from './safetensors.ts';

/**
 * Converts weights of one module to and from names and layouts of PyTorch. Layers are an `nn.Sequential` named `layers`, a
 * block has `conv1`, `conv2`, `conv3` and `shortcut`, and gated recurrent units are an `nn.GRU`:
 *
 *     here                                  in PyTorch
 *     [rows, cols, in, out]                 [out, in, rows, cols]       Conv2d
 *     [steps, 1, in, out] of conv1d         [out, in, steps]            Conv1d
 *     [in, out]                             [out, in]                   Linear
 *     N.input.weight, N.input.bias          N.weight_ih_l0, N.bias_ih_l0
 *     N.hidden.weight, N.hidden.bias        N.weight_hh_l0, N.bias_hh_l0
 */

type Tensors = Readonly<Record<string, StoredTensor>>;

/** Name and layout of a tensor in PyTorch. */
interface Form {
  name: string;
  shape: number[];
  /** Axis i of PyTorch's, before axes of size 1 are left out, is axis `axes[i]` of ours. */
  axes: readonly number[];
}

const RECURRENT: Record<string, string> = {
  'input.weight': 'weight_ih_l0',
  'input.bias': 'bias_ih_l0',
  'hidden.weight': 'weight_hh_l0',
  'hidden.bias': 'bias_hh_l0',
};

/** Axes in PyTorch's order, by number of axes of a tensor. */
const AXES: Record<number, readonly number[]> = { 1: [0], 2: [1, 0], 4: [3, 2, 0, 1] };

function formOf(name: string, shape: readonly number[], layers: readonly Layer[]): Form {
  const [, index = '', rest = ''] = /^layers\.(\d+)\.(.+)$/.exec(name) ?? [];
  const type = layers[Number(index)]?.type;
  const axes = AXES[shape.length];
  if (!axes)
    throw new CheckpointError(`${name} has ${shape.length} axes; PyTorch has no such weight`);
  const turned = axes.map((axis) => shape[axis] as number);
  return {
    name: index !== '' && type === 'gru' ? `layers.${index}.${RECURRENT[rest]}` : name,
    shape: index !== '' && type === 'conv1d' && turned.length === 4 ? turned.slice(0, 3) : turned,
    axes,
  };
}

/** Converts the tensors of a module to names and layouts that a PyTorch module of the same layers loads. */
export const toTorch = (tensors: Tensors, layers: readonly Layer[]): Record<string, StoredTensor> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const form = formOf(name, tensor.shape, layers);
      const data = permute(floats(name, tensor), tensor.shape, form.axes);
      return [form.name, { dtype: 'F32', shape: form.shape, data }];
    }),
  );

/**
 * Converts PyTorch tensors to the weights of `shapes` (by name, in our layout). Returns the weights found, the names of
 * missing ones, and the names of unused tensors.
 * @throws CheckpointError for a tensor of another shape
 */
export function fromTorch(
  tensors: Tensors,
  shapes: Readonly<Record<string, readonly number[]>>,
  layers: readonly Layer[],
): { found: Record<string, StoredTensor>; missing: string[]; unused: string[] } {
  const found: Record<string, StoredTensor> = {};
  const missing: string[] = [];
  const unused = new Set(Object.keys(tensors));
  for (const [name, shape] of Object.entries(shapes)) {
    const form = formOf(name, shape, layers);
    const tensor = tensors[form.name];
    if (!tensor) {
      missing.push(form.name);
      continue;
    }
    unused.delete(form.name);
    if (tensor.shape.join() !== form.shape.join()) {
      throw new CheckpointError(
        `${form.name} has the shape [${tensor.shape.join(', ')}]; the run's layer has [${form.shape.join(', ')}]`,
      );
    }
    const turned = form.axes.map((axis) => shape[axis] as number);
    const back = shape.map((_, axis) => form.axes.indexOf(axis));
    const data = permute(floats(form.name, tensor), turned, back);
    found[name] = { dtype: 'F32', shape, data };
  }
  return { found, missing, unused: [...unused] };
}

function floats(name: string, { dtype, data }: StoredTensor): Float32Array<ArrayBuffer> {
  if (data instanceof Float32Array) return data as Float32Array<ArrayBuffer>;
  throw new CheckpointError(`${name} is ${dtype}; weights are exchanged as float32 (F32)`);
}

/** Transposes row-major values of `shape`: axis i of the result is axis `axes[i]` of the input. */
export function permute(
  values: Float32Array<ArrayBuffer>,
  shape: readonly number[],
  axes: readonly number[],
): Float32Array<ArrayBuffer> {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((n, size) => n * size, 1));
  const sizes = axes.map((axis) => shape[axis] as number);
  const steps = axes.map((axis) => strides[axis] as number);
  const out = new Float32Array(values.length);
  const at = sizes.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i += 1) {
    out[i] = values[from] as number;
    for (let axis = at.length - 1; axis >= 0; axis -= 1) {
      from += steps[axis] as number;
      at[axis] = (at[axis] as number) + 1;
      if ((at[axis] as number) < (sizes[axis] as number)) break;
      from -= (steps[axis] as number) * (sizes[axis] as number);
      at[axis] = 0;
    }
  }
  return out;
}
