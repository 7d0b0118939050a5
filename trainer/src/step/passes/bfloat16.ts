import { existsSync, readFileSync } from 'node:fs';
import type { ModuleConfig, Precision } from '@greedy-infomax/crds';
import { ATTR, backend, DT } from '../../tf.ts';
import { typeAttr } from '../graph.ts';
import type { RecordedOp, Recording, Surroundings } from '../recorder.ts';

/**
 * Mixed precision (Micikevicius et al. 2018): matmuls and convolutions take bfloat16 inputs and accumulate in float32.
 * Processors with AMX and GPUs with tensor cores multiply bfloat16 several times as fast. Weights, moments, softmax,
 * loss and the outputs of a step stay float32. bfloat16 has the exponent range of float32, so gradients need no scale.
 */

const MATMULS: ReadonlySet<string> = new Set([
  'Conv2D',
  'Conv2DBackpropInput',
  'Conv2DBackpropFilter',
  'MatMul',
  'BatchMatMulV2',
]);

/** Ops that return bfloat16 for bfloat16 inputs: they move or select values, or round a sum accumulated in float32. */
const FOLLOWERS: ReadonlySet<string> = new Set([
  'Add',
  'AddN',
  'BiasAdd',
  'ConcatV2',
  'GatherV2',
  'Identity',
  'Max',
  'Min',
  'Pack',
  'PadV2',
  'Relu',
  'ReluGrad',
  'Reshape',
  'Slice',
  'SplitV',
  'Sum',
  'Transpose',
  'Unpack',
]);

/**
 * Followers that stay in float32 where no matmul uses their result, as for activations that leave the step: Eigen has
 * no bfloat16 instructions, and these ops reduce no data.
 */
const TAILS: ReadonlySet<string> = new Set(['Max', 'Min', 'Relu', 'Reshape']);

/** Ops that compute in bfloat16 where only matmuls use their result, such as the decoding of activations. */
const LEADERS: ReadonlySet<string> = new Set([
  'Add',
  'Cast',
  'ConcatV2',
  'GatherV2',
  'Mul',
  'PadV2',
  'Relu',
  'Reshape',
  'Slice',
  'Transpose',
]);

/**
 * Reports whether this machine multiplies bfloat16 in hardware. Without that a step takes up to forty times as long as
 * in float32.
 */
export function multipliesBfloat16(): boolean {
  if (backend.binding.isUsingGpuDevice()) return true;
  const flags = existsSync(CPU_INFO) ? readFileSync(CPU_INFO, 'utf8') : '';
  return /\b(amx_bf16|avx512_bf16)\b/.test(flags);
}
const CPU_INFO = '/proc/cpuinfo';

/** Returns the precision of a module's steps: the configured one, or float32 where the machine has no bfloat16. */
export const precisionOf = ({ precision }: Pick<ModuleConfig, 'precision'>): Precision =>
  precision === 'bfloat16' && !multipliesBfloat16() ? 'float32' : precision;

/** Returns the recording in mixed precision; the ids of `Surroundings` keep their meaning and type. */
export function inBfloat16(recording: Recording, { given, wanted }: Surroundings): Recording {
  const floats = new Set(given.keys());
  for (const { id, dtype } of recording.constants.values())
    if (dtype === DT.float32) floats.add(id);
  for (const { outputs } of recording.ops) {
    for (const { id, dtype } of outputs) if (dtype === DT.float32) floats.add(id);
  }
  const low = lowOps(recording.ops, floats, wanted);
  const uses = (chosen: boolean) =>
    new Set(recording.ops.filter((op) => low.has(op) === chosen).flatMap(({ inputs }) => inputs));
  const asFloat = new Set([...uses(false), ...wanted]);
  const asLow = uses(true);

  const lowIds = new Map<number, number>();
  const lowId = (id: number): number => {
    const known = lowIds.get(id) ?? -1 - lowIds.size; // the addon's own ids are positive
    lowIds.set(id, known);
    return known;
  };
  /** Returns the casts of the tensors that are used in bfloat16. */
  const lowered = (ids: readonly number[]) =>
    ids
      .filter((id) => floats.has(id) && asLow.has(id))
      .map((id) => cast(id, lowId(id), DT.float32, DT.bfloat16));
  const ops = lowered([...given.keys(), ...recording.constants.keys()]);
  for (const op of recording.ops) {
    const ids = op.outputs.map(({ id }) => id);
    if (!low.has(op)) {
      ops.push(op, ...lowered(ids));
      continue;
    }
    ops.push({
      op: op.op,
      attrs: op.attrs.map((attr) =>
        attr.type === ATTR.type && attr.value === DT.float32
          ? { ...attr, value: DT.bfloat16 }
          : attr,
      ),
      inputs: op.inputs.map((id) => (floats.has(id) ? lowId(id) : id)),
      outputs: op.outputs.map((output) => ({
        ...output,
        id: lowId(output.id),
        dtype: DT.bfloat16,
      })),
    });
    for (const id of ids.filter((each) => asFloat.has(each))) {
      ops.push(cast(lowId(id), id, DT.bfloat16, DT.float32));
    }
  }
  return { ops, constants: recording.constants };
}

/** Returns the ops that compute in bfloat16. */
function lowOps(
  ops: readonly RecordedOp[],
  floats: ReadonlySet<number>,
  wanted: readonly number[],
): ReadonlySet<RecordedOp> {
  const low = new Set<RecordedOp>();
  const made = new Set<number>();
  const add = (op: RecordedOp) => {
    low.add(op);
    for (const { id } of op.outputs) made.add(id);
  };
  const givesFloats = ({ outputs }: RecordedOp) => outputs.every(({ id }) => floats.has(id));
  for (const op of ops) {
    const follows = FOLLOWERS.has(op.op) && op.inputs.some((id) => made.has(id));
    if (givesFloats(op) && (MATMULS.has(op.op) || follows)) add(op);
  }
  const neededAsFloat = new Set(wanted);
  for (const op of ops.toReversed()) {
    const leads = LEADERS.has(op.op) && op.outputs.every(({ id }) => !neededAsFloat.has(id));
    if (givesFloats(op) && leads) add(op);
    if (!low.has(op)) for (const id of op.inputs) neededAsFloat.add(id);
  }
  const used = new Set<number>();
  for (const op of ops.toReversed()) {
    if (!low.has(op)) continue;
    const ends = TAILS.has(op.op) && !op.outputs.some(({ id }) => used.has(id));
    if (ends) low.delete(op);
    else for (const id of op.inputs) used.add(id);
  }
  return low;
}

const cast = (from: number, to: number, source: number, target: number): RecordedOp => ({
  op: 'Cast',
  attrs: [typeAttr('SrcT', source), typeAttr('DstT', target)],
  inputs: [from],
  outputs: [{ id: to, shape: [], dtype: target }],
});
