import type { Precision } from '@greedy-infomax/crds';
import { DT } from '../tf.ts';
import { ADAM_INPUT, type AdamNodes, applyAdam } from './adam.ts';
import { type StepFunction, size, type TensorSpec, type WeightValue } from './function.ts';
import { controlInput, type GraphBuilder, typeAttr } from './graph.ts';
import { addInput, addWords } from './int32-transport.ts';
import { inBfloat16 } from './passes/bfloat16.ts';
import { withBiasAdd } from './passes/bias-add.ts';
import { asMatmuls } from './passes/convolutions-as-matmul.ts';
import { isOperation, scheduleDependencies } from './passes/schedule.ts';
import { traceFunction } from './trace.ts';

/** Turns functions and variables into nodes of a graph. */

export interface CompiledOutput {
  name: string;
  /** Number of bytes of an output of bytes, which leaves the graph as an int32 view. */
  bytes?: number;
}

export interface Compiled {
  inputs: StepFunction['inputs'];
  outputs: readonly CompiledOutput[];
  trains: boolean;
  feeds: string;
  fetches: string;
}

/** Moments that Adam keeps for each weight. */
export const SLOTS = ['m', 'v'] as const;
export const slotName = (slot: (typeof SLOTS)[number], weight: string) => `adam.${slot}.${weight}`;

/** Returns the node name of a weight: node names allow fewer characters than weight names. */
export const node = (name: string): string => `weights/${name.replace(/[^A-Za-z0-9_.]/g, '_')}`;

/** Adds nodes that read and assign the variable `name`. */
export function addAccess(graph: GraphBuilder, name: string, shape: readonly number[]): void {
  const handle = node(name);
  graph.identity(`${handle}/value`, graph.read(`${handle}/read`, handle), DT.float32);
  const fed = addInput(graph, `${handle}/new`, { shape, dtype: 'float32' });
  // The variable gets a copy: it would otherwise keep the fed tensor's memory, which JavaScript owns.
  const copy = graph.node(`${handle}/copy`, 'DeepCopy', [fed], [typeAttr('T', DT.float32)]);
  const assign = graph.node(
    `${handle}/assign`,
    'AssignVariableOp',
    [handle, copy],
    [typeAttr('dtype', DT.float32)],
  );
  graph.identity(`${handle}/assigned`, graph.scalar(`${handle}/done`, 0), DT.float32, [assign]);
}

/** Records `fn` on zeros and adds the recorded ops to the graph, under the prefix `name`. */
export function addFunction(
  graph: GraphBuilder,
  name: string,
  fn: StepFunction,
  weights: Readonly<Record<string, WeightValue>>,
  scalars: AdamNodes,
  precision: Precision,
): Compiled {
  const trace = traceFunction(fn, weights);
  const { surroundings } = trace;
  const matmuls = asMatmuls(withBiasAdd(trace.recording, surroundings), surroundings, precision);
  const recording = precision === 'bfloat16' ? inBfloat16(matmuls, surroundings) : matmuls;
  const producer = new Map<number, string>();
  for (const [input, id] of Object.entries(trace.inputs)) {
    producer.set(id, addInput(graph, `${name}/in/${input}`, fn.inputs[input] as TensorSpec));
  }
  for (const [weight, id] of Object.entries(trace.weights)) {
    producer.set(id, graph.read(`${name}/read/${node(weight)}`, node(weight)));
  }
  const source = (id: number): string => {
    const known = producer.get(id);
    if (known !== undefined) return known;
    const constant = recording.constants.get(id);
    if (constant === undefined)
      throw new Error(`'${name}' uses tensor ${id}, which it did not make`);
    const added = graph.constant(
      `${name}/const/${id}`,
      constant.shape,
      constant.dtype,
      constant.values,
    );
    producer.set(id, added);
    return added;
  };
  const dependencies = scheduleDependencies(recording.ops);
  recording.ops.filter(isOperation).forEach((recorded, i) => {
    const { op, attrs, inputs, outputs } = recorded;
    const after = (dependencies.get(recorded) ?? []).map((id) => controlInput(source(id)));
    const added = graph.node(`${name}/${i}_${op}`, op, [...inputs.map(source), ...after], attrs);
    for (const [k, { id }] of outputs.entries())
      producer.set(id, k === 0 ? added : `${added}:${k}`);
  });
  const updates = Object.entries(trace.gradients).map(([weight, id]) =>
    applyAdam(
      graph,
      `${name}/apply/${node(weight)}`,
      {
        variable: node(weight),
        m: node(slotName('m', weight)),
        v: node(slotName('v', weight)),
        gradient: source(id),
      },
      scalars,
    ),
  );
  const outputs = Object.entries(trace.outputs).map(([output, { id, dtype, shape }]) => {
    const bytes = dtype === DT.uint8 ? size(shape) : undefined;
    const value =
      bytes === undefined
        ? source(id)
        : addWords(graph, `${name}/bytes/${output}`, source(id), bytes);
    graph.identity(`${name}/out/${output}`, value, bytes === undefined ? dtype : DT.int32, updates);
    return { name: output, bytes };
  });
  const trains = fn.minimise !== undefined;
  return {
    inputs: fn.inputs,
    outputs,
    trains,
    feeds: [
      ...Object.keys(fn.inputs).map((input) => `${name}/in/${input}:0`),
      ...(trains ? [`${ADAM_INPUT}:0`] : []),
    ].join(','),
    fetches: outputs.map((output) => `${name}/out/${output.name}:0`).join(','),
  };
}
