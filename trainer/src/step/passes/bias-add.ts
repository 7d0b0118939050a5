import { backend } from '../../tf.ts';
import { stringAttr } from '../graph.ts';
import type { RecordedOp, Recording, Surroundings } from '../recorder.ts';

/**
 * Replaces Add by BiasAdd, on a processor, for a bias that is added to a convolution before another sum, such as a
 * shortcut: oneDNN then adds both while it convolves. TensorFlow would reorder two additions, smallest tensors first,
 * and compute each over all activations.
 */
export function withBiasAdd(recording: Recording, { given, wanted }: Surroundings): Recording {
  if (backend.binding.isUsingGpuDevice()) return recording;
  const convolutions = new Map<number, RecordedOp>();
  const users = new Map<number, RecordedOp[]>();
  for (const op of recording.ops) {
    if (op.op === 'Conv2D') for (const { id } of op.outputs) convolutions.set(id, op);
    for (const id of op.inputs) users.set(id, [...(users.get(id) ?? []), op]);
  }

  const addsBias = ({ op, inputs: [x = -1, bias = -1] }: RecordedOp) => {
    const shape = given.get(bias);
    const channels = convolutions.get(x)?.outputs[0]?.shape.at(-1);
    return op === 'Add' && shape?.length === 1 && shape[0] === channels;
  };

  /**
   * Reports whether a sum may be fused: it may not if it has a relu and other users. TensorFlow 2.21 fuses convolution,
   * bias, sum and relu without checking for those, fails, and gives up all fusions of the graph.
   */
  const mayBeTaken = ({ op, outputs: [sum] }: RecordedOp) => {
    const id = sum?.id as number;
    const ofSum = users.get(id) ?? [];
    const needed = ofSum.length + (wanted.includes(id) ? 1 : 0);
    return op === 'Add' && (needed === 1 || !ofSum.some((user) => user.op === 'Relu'));
  };

  const becomes = (op: RecordedOp) => {
    const sums = users.get(op.outputs[0]?.id as number) ?? [];
    return addsBias(op) && sums.length > 0 && sums.every(mayBeTaken);
  };
  return { ...recording, ops: recording.ops.map((op) => (becomes(op) ? asBiasAdd(op) : op)) };
}

const asBiasAdd = (op: RecordedOp): RecordedOp => ({
  ...op,
  op: 'BiasAdd',
  attrs: [...op.attrs.filter(({ name }) => name === 'T'), stringAttr('data_format', 'NHWC')],
});
