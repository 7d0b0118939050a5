import { backend, type DataType, DT, type Tensor, tensorId, tf } from '../tf.ts';
import { type StepFunction, size, type TensorSpec, type WeightValue } from './function.ts';
import './gradients.ts';
import { type Recording, record, type Surroundings } from './recorder.ts';

/** Result of running a function once: its recording, and the ids of its inputs, weights, outputs and gradients. */
export interface Trace {
  recording: Recording;
  surroundings: Surroundings;
  inputs: Record<string, number>;
  weights: Record<string, number>;
  outputs: Record<string, { id: number; dtype: DataType; shape: readonly number[] }>;
  /** Gradients by weight; empty if the function minimises nothing. */
  gradients: Record<string, number>;
}

/** Runs `fn` once, eagerly. Ids stay valid as names after their tensors are disposed: the addon never reuses an id. */
export function traceFunction(
  fn: StepFunction,
  values: Readonly<Record<string, WeightValue>>,
): Trace {
  const inputs = mapValues(fn.inputs, (spec) => inputTensor(spec));
  const variables = mapValues(values, ({ shape, values: v }) =>
    tf.variable(tf.tensor(v.slice(), [...shape], 'float32')),
  );
  const trace: Traced = {
    inputs: mapValues(inputs, tensorId),
    weights: mapValues(variables, tensorId),
    outputs: {},
    gradients: {},
  };
  const build = (): Record<string, Tensor> => {
    const outputs = fn.build(inputs, variables);
    trace.outputs = mapValues(outputs, (tensor) => ({
      id: tensorId(tensor),
      dtype: nativeDtype(tensor),
      shape: tensor.shape,
    }));
    return outputs;
  };
  const recording = record(() => {
    tf.tidy(() => {
      if (fn.minimise === undefined) {
        build();
        return;
      }
      const minimise = fn.minimise;
      const used = Object.values(variables);
      const { grads } = tf.variableGrads(
        () => build()[minimise] as ReturnType<typeof tf.scalar>,
        used,
      );
      for (const [weight, variable] of Object.entries(variables)) {
        const gradient = grads[variable.name];
        if (gradient) trace.gradients[weight] = tensorId(gradient);
      }
    });
  });
  tf.dispose(inputs);
  tf.dispose(variables);
  return { ...trace, recording, surroundings: around(trace, fn, values) };
}

type Traced = Omit<Trace, 'recording' | 'surroundings'>;

function around(
  { inputs, weights, outputs, gradients }: Traced,
  fn: StepFunction,
  values: Readonly<Record<string, WeightValue>>,
): Surroundings {
  const given = new Map<number, readonly number[]>();
  for (const [name, id] of Object.entries(weights)) {
    given.set(id, (values[name] as WeightValue).shape);
  }
  for (const [name, { shape, dtype }] of Object.entries(fn.inputs)) {
    if (dtype === 'float32') given.set(inputs[name] as number, shape);
  }
  return {
    given,
    wanted: [...Object.values(outputs).map(({ id }) => id), ...Object.values(gradients)],
  };
}

/** Returns zeros of the spec's shape, already in the addon, so that their upload is not recorded. */
function inputTensor({ shape, dtype }: TensorSpec): Tensor {
  const zeros =
    dtype === 'float32'
      ? new Float32Array(size(shape))
      : dtype === 'int32'
        ? new Int32Array(size(shape))
        : new Uint8Array(size(shape));
  const id = backend.binding.createTensor([...shape], DT[dtype], zeros);
  return backend.createOutputTensor({ id, shape: [...shape], dtype: DT[dtype] });
}

/** Returns the dtype in the addon, which distinguishes bytes from int32. */
function nativeDtype(tensor: Tensor): DataType {
  const data = (
    backend as unknown as { tensorMap: { get(id: object): { dtype: DataType } } }
  ).tensorMap.get(tensor.dataId);
  return data.dtype;
}

function mapValues<A, B>(
  record: Readonly<Record<string, A>>,
  f: (value: A) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]));
}
