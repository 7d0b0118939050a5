import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Optimizer, Precision } from '@greedy-infomax/crds';
import { backend, DT, type Values } from '../tf.ts';
import { ADAM_SCALARS, adamScalars, addAdamScalars } from './adam.ts';
import { addAccess, addFunction, type Compiled, node, SLOTS, slotName } from './compile.ts';
import { type StepFunction, size, type WeightValue } from './function.ts';
import { GraphBuilder, TAG } from './graph.ts';
import { asWords } from './int32-transport.ts';

/**
 * A training step as one call into TensorFlow.
 *
 * tfjs runs a step as some 600 separate ops. Here each function runs that way once, with a recorder in front of the
 * addon. The recorded ops become a TensorFlow graph whose weights are variables on the device, and from then on a step
 * is a single session run. The functions are ordinary tfjs.
 */

/** An input of a run is missing or has the wrong size. */
export class FeedError extends Error {
  override readonly name = 'FeedError';
}

/** Compiled functions over one set of weights. */
export class Program<Name extends string> {
  /** Number of optimizer steps so far. */
  step = 0;
  /** Step at which Adam's moments were zero: above 0 where weights were loaded without moments. */
  momentsFrom = 0;
  readonly #session: number;
  readonly #functions: Record<Name, Compiled>;
  readonly #shapes: Map<string, readonly number[]>;
  readonly #optimizer: Optimizer;

  /**
   * Records and compiles `functions`; takes 0.2 to 3 s. `weights` are the initial values; Adam's moments start at zero.
   * `precision` applies to matmuls and convolutions; inputs and outputs are float32 in both.
   */
  static compile<Name extends string>(options: {
    weights: Readonly<Record<string, WeightValue>>;
    optimizer: Optimizer;
    functions: Readonly<Record<Name, StepFunction>>;
    precision?: Precision;
  }): Program<Name> {
    return new Program(options);
  }

  private constructor(options: {
    weights: Readonly<Record<string, WeightValue>>;
    optimizer: Optimizer;
    functions: Readonly<Record<Name, StepFunction>>;
    precision?: Precision;
  }) {
    this.#optimizer = options.optimizer;
    this.#shapes = new Map(
      Object.entries(options.weights).flatMap(([name, { shape }]) =>
        [name, ...SLOTS.map((slot) => slotName(slot, name))].map((n) => [n, shape] as const),
      ),
    );
    const graph = new GraphBuilder();
    for (const [name, shape] of this.#shapes) graph.variable(node(name), shape);
    const scalars = addAdamScalars(graph, options.optimizer);
    this.#functions = Object.fromEntries(
      Object.entries<StepFunction>(options.functions).map(([name, fn]) => [
        name,
        addFunction(graph, name, fn, options.weights, scalars, options.precision ?? 'float32'),
      ]),
    ) as Record<Name, Compiled>;
    for (const [name, shape] of this.#shapes) addAccess(graph, name, shape);
    this.#session = load(graph);
    this.assign({
      ...Object.fromEntries(
        [...this.#shapes].map(([name, shape]) => [name, new Float32Array(size(shape))]),
      ),
      ...Object.fromEntries(Object.entries(options.weights).map(([n, { values }]) => [n, values])),
    });
  }

  /**
   * Runs a function on inputs by name and returns its outputs by name. If the function minimises an output, the weights
   * have made one step on return. @throws FeedError for a missing input or one of the wrong size
   */
  run(name: Name, inputs: Readonly<Record<string, Values>>): Record<string, Values> {
    const fn = this.#functions[name];
    const ids = Object.entries(fn.inputs).map(([input, spec]) => {
      const values = inputs[input];
      if (values?.length !== size(spec.shape)) {
        throw new FeedError(
          `input '${input}' of '${name}' has ${values?.length ?? 'no'} values; its shape [${spec.shape.join(', ')}] needs ${size(spec.shape)}`,
        );
      }
      return createTensor(values, spec.dtype === 'uint8' ? undefined : spec.shape);
    });
    if (fn.trains) {
      const scalars = adamScalars(this.#optimizer, this.step - this.momentsFrom + 1);
      const values = Float32Array.from(ADAM_SCALARS, (scalar) => scalars[scalar]);
      ids.push(createTensor(values));
    }
    const values = this.#call(ids, fn.feeds, fn.fetches);
    if (fn.trains) this.step += 1;
    return Object.fromEntries(
      fn.outputs.map(({ name: output, bytes }, i) => {
        const value = values[i] as Values;
        return [output, bytes === undefined ? value : new Uint8Array(value.buffer, 0, bytes)];
      }),
    );
  }

  /** Returns all weights and Adam's moments (`adam.m.NAME`, `adam.v.NAME`) with their shapes. */
  read(): Record<string, { shape: number[]; values: Float32Array<ArrayBuffer> }> {
    const names = [...this.#shapes.keys()];
    const values = this.#call([], '', names.map((name) => `${node(name)}/value:0`).join(','));
    return Object.fromEntries(
      names.map((name, i) => [
        name,
        {
          shape: [...(this.#shapes.get(name) ?? [])],
          values: values[i] as Float32Array<ArrayBuffer>,
        },
      ]),
    );
  }

  /** Replaces weights or moments; the others keep their values. @throws FeedError for a wrong size */
  assign(values: Readonly<Record<string, Float32Array>>): void {
    const fed = Object.entries(values).map(([name, value]) => {
      const shape = this.#shapes.get(name);
      if (shape === undefined || value.length !== size(shape)) {
        throw new FeedError(
          `'${name}' has ${value.length} values; ${shape ? `its shape [${shape.join(', ')}] needs ${size(shape)}` : `there is no such weight`}`,
        );
      }
      return { handle: node(name), value, shape };
    });
    if (fed.length === 0) return;
    // One run for all: TensorFlow prepares the graph again for every set of fetched nodes.
    this.#call(
      fed.map(({ value, shape }) => createTensor(value, shape)),
      fed.map(({ handle }) => `${handle}/new:0`).join(','),
      fed.map(({ handle }) => `${handle}/assigned:0`).join(','),
    );
  }

  dispose(): void {
    backend.binding.deleteSavedModel(this.#session);
  }

  /** Runs the session and reads its outputs; `inputs` are consumed. */
  #call(inputs: number[], feeds: string, fetches: string): Values[] {
    const { binding } = backend;
    try {
      return binding.runSavedModel(this.#session, inputs, feeds, fetches).map(({ id }) => {
        const values = binding.tensorDataSync(id);
        binding.deleteTensor(id);
        return values;
      });
    } finally {
      for (const id of inputs) binding.deleteTensor(id);
    }
  }
}

/** Returns the int32 view of values as a tensor of the addon, in the shape of the placeholder of `addInput`. */
function createTensor(values: Values, shape?: readonly number[]): number {
  const words = asWords(values);
  return backend.binding.createTensor([...(shape ?? [words.length])], DT.int32, words);
}

function load(graph: GraphBuilder): number {
  const folder = mkdtempSync(join(tmpdir(), 'greedy-infomax-step-'));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), graph.savedModel());
    return backend.binding.loadSavedModel(folder, TAG);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
