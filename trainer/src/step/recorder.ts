import {
  ATTR,
  type Binding,
  backend,
  DT,
  type OpAttr,
  type TensorMetadata,
  type Values,
} from '../tf.ts';

/** One TensorFlow operation that ran. Tensors are named by their ids in the addon. */
export interface RecordedOp {
  op: string;
  attrs: OpAttr[];
  inputs: number[];
  outputs: TensorMetadata[];
}

/** A tensor that was made from values in JavaScript. */
export interface RecordedConstant {
  id: number;
  shape: number[];
  dtype: number;
  values: Values;
}

export interface Recording {
  ops: RecordedOp[];
  constants: Map<number, RecordedConstant>;
}

/** Inputs and outputs of a recording. */
export interface Surroundings {
  /** Shapes of its float32 inputs and weights, by id. */
  given: ReadonlyMap<number, readonly number[]>;
  /** Ids of its outputs and gradients. */
  wanted: readonly number[];
}

/** Returns the shapes of all tensors that a recording makes, by id. */
export function shapesOf({ ops, constants }: Recording): Map<number, readonly number[]> {
  const made = [...constants.values(), ...ops.flatMap(({ outputs }) => outputs)];
  return new Map(made.map(({ id, shape }) => [id, shape]));
}

export const attribute = ({ attrs }: Pick<RecordedOp, 'attrs'>, name: string): unknown =>
  attrs.find((attr) => attr.name === name)?.value;

/** Thrown when the recorded function does something that a graph cannot repeat. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';
}

/** Recordings in progress, the innermost last. */
const underWay: RecordedOp[][] = [];

/** Adds a mark that is not an op to the recording in progress, if there is one. */
export const recordMark = (mark: RecordedOp): void => {
  underWay.at(-1)?.push(mark);
};

/** Attributes that the eager runtime infers and a graph must state. */
const INFERRED_ATTRS: Record<string, (outputs: TensorMetadata[]) => OpAttr[]> = {
  ExpandDims: ([output]) => [
    { name: 'T', type: ATTR.type, value: output?.dtype },
    { name: 'Tdim', type: ATTR.type, value: DT.int32 },
  ],
};

/**
 * Runs `body` eagerly and records its calls to TensorFlow. Every kernel of the tfjs node backend ends in `executeOp` or
 * `createTensor` of the addon, so the recorder needs no knowledge of tfjs's own functions. Reading a value inside `body`
 * throws a `RecordingError`: the graph could not repeat a decision made on it.
 */
export function record(body: () => void): Recording {
  const native = backend.binding;
  const ops: RecordedOp[] = [];
  const constants = new Map<number, RecordedConstant>();
  const overrides: Partial<Binding> = {
    executeOp(op, attrs, inputs, count) {
      const outputs = native.executeOp(op, attrs, inputs, count);
      const inferred = INFERRED_ATTRS[op]?.(outputs) ?? [];
      ops.push({
        op,
        attrs: [...structuredClone(attrs), ...inferred],
        inputs: [...inputs],
        outputs,
      });
      return outputs;
    },
    createTensor(shape, dtype, values) {
      const id = native.createTensor(shape, dtype, values);
      constants.set(id, { id, shape: [...shape], dtype, values: values.slice() });
      return id;
    },
    tensorDataSync() {
      throw new RecordingError(
        'the step reads the value of a tensor; compute with the tensor instead, or make the value an input',
      );
    },
  };
  // The addon's properties are read-only: assigning to a derived object would fail in silence.
  const recording = Object.create(native, Object.getOwnPropertyDescriptors(overrides)) as Binding;
  backend.binding = recording;
  underWay.push(ops);
  try {
    body();
  } finally {
    underWay.pop();
    backend.binding = native;
  }
  return { ops, constants };
}
