import { afterEach, describe, expect, it } from 'vitest';
import { batchMemory } from '../buffer/batch-memory.ts';
import { backend, DT, type Tensor, type Tfjs, tf } from '../tf.ts';
import type { StepFunction } from './function.ts';
import { cast, randomInts } from './ops.ts';
import { FeedError, Program } from './program.ts';
import { RecordingError } from './recorder.ts';

const optimizer = {
  type: 'adam' as const,
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
};

/** Deterministic values that are neither all equal nor all of one sign. */
const ramp = (n: number, scale = 1) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i + 1) * scale);

const weights = {
  'layers.0.weight': { shape: [3, 4], values: ramp(12) },
  'layers.0.bias': { shape: [4], values: ramp(4, 0.1) },
};

const dense = (x: Tensor, w: Readonly<Record<string, Tensor>>): Tensor =>
  tf.relu(
    tf.add(
      tf.matMul(x as Tfjs.Tensor2D, w['layers.0.weight'] as Tfjs.Tensor2D),
      w['layers.0.bias'] as Tensor,
    ),
  );

const train: StepFunction = {
  inputs: { x: { shape: [2, 3], dtype: 'float32' } },
  build: ({ x }, w) => {
    const y = dense(x as Tensor, w);
    return { loss: tf.mean(tf.square(tf.sub(y, 1))), y };
  },
  minimise: 'loss',
};

const programs: Program<string>[] = [];
function compile<N extends string>(
  functions: Record<N, StepFunction>,
  settings = optimizer,
): Program<N> {
  const program = Program.compile({ weights, optimizer: settings, functions });
  programs.push(program as unknown as Program<string>);
  return program;
}
afterEach(() => {
  for (const program of programs.splice(0)) program.dispose();
});

/** Trains with eager tfjs, with the optimizer written out as in the paper. */
function eagerly(steps: number, x: Float32Array, settings = optimizer) {
  const values = new Map(Object.entries(weights).map(([n, w]) => [n, Array.from(w.values)]));
  const m = new Map([...values].map(([n, v]) => [n, v.map(() => 0)]));
  const v2 = new Map([...values].map(([n, v]) => [n, v.map(() => 0)]));
  const losses: number[] = [];
  for (let t = 1; t <= steps; t += 1) {
    tf.tidy(() => {
      const vars = Object.fromEntries(
        Object.entries(weights).map(([n, w]) => [
          n,
          tf.variable(tf.tensor(values.get(n) as number[], w.shape)),
        ]),
      );
      const { value, grads } = tf.variableGrads(() => {
        const { loss } = train.build({ x: tf.tensor2d(x, [2, 3]) }, vars);
        return loss as Tfjs.Scalar;
      }, Object.values(vars));
      losses.push(value.dataSync()[0] as number);
      for (const [n, variable] of Object.entries(vars)) {
        const g = (grads[variable.name] as Tensor).dataSync();
        const { beta1, beta2, epsilon, learningRate } = settings;
        values.set(
          n,
          (values.get(n) as number[]).map((w, i) => {
            const mi =
              beta1 * ((m.get(n) as number[])[i] as number) + (1 - beta1) * (g[i] as number);
            const vi =
              beta2 * ((v2.get(n) as number[])[i] as number) + (1 - beta2) * (g[i] as number) ** 2;
            (m.get(n) as number[])[i] = mi;
            (v2.get(n) as number[])[i] = vi;
            return (
              w -
              (learningRate * (mi / (1 - beta1 ** t))) /
                (Math.sqrt(vi / (1 - beta2 ** t)) + epsilon)
            );
          }),
        );
      }
      for (const variable of Object.values(vars)) variable.dispose();
    });
  }
  return { losses, values };
}

const MEMORIES = {
  'memory of their own': (length: number) => new Uint8Array(length),
  'the middle of other memory': (length: number) => new Uint8Array(new ArrayBuffer(20), 3, length),
  'memory shared by threads': (length: number) => new Uint8Array(batchMemory(length), 0, length),
};

describe('a compiled step', () => {
  it.each([1e-8, 0.3])(
    'takes the same steps as eager tfjs with Adam as the paper writes it, epsilon %d',
    (epsilon) => {
      const settings = { ...optimizer, epsilon };
      const program = compile({ train }, settings);
      const x = ramp(6);
      const losses = Array.from({ length: 25 }, () => program.run('train', { x }).loss?.[0]);
      const eager = eagerly(25, x, settings);
      for (const [i, loss] of losses.entries())
        expect(loss).toBeCloseTo(eager.losses[i] as number, 5);
      for (const [name, { values }] of Object.entries(program.read())) {
        const expected = eager.values.get(name);
        if (expected)
          for (const [i, w] of values.entries()) expect(w).toBeCloseTo(expected[i] as number, 4);
      }
      expect(program.step).toBe(25);
    },
  );

  it('returns its outputs from before the update', () => {
    const program = compile({ train, look: { inputs: train.inputs, build: train.build } });
    const x = ramp(6);
    const before = program.run('look', { x });
    const during = program.run('train', { x });
    expect([...(during.y ?? [])]).toEqual([...(before.y ?? [])]);
    expect(program.run('look', { x }).loss?.[0]).toBeLessThan(before.loss?.[0] as number);
  });

  it('leaves the weights alone in a function that minimises nothing', () => {
    const program = compile({ look: { inputs: train.inputs, build: train.build } });
    program.run('look', { x: ramp(6) });
    expect([...(program.read()['layers.0.weight']?.values ?? [])]).toEqual([...ramp(12)]);
    expect(program.step).toBe(0);
  });

  it('continues identically after its weights, moments and step are copied to another program', () => {
    const first = compile({ train });
    const x = ramp(6);
    for (let i = 0; i < 5; i += 1) first.run('train', { x });
    const second = compile({ train });
    second.assign(
      Object.fromEntries(Object.entries(first.read()).map(([n, { values }]) => [n, values])),
    );
    second.step = first.step;
    first.run('train', { x });
    second.run('train', { x });
    expect(second.read()).toEqual(first.read());
  });

  it('keeps its values when the caller changes the array', () => {
    const program = compile({ train });
    const values = ramp(12, 2);
    program.assign({ 'layers.0.weight': values });
    program.run('train', { x: ramp(6) });
    expect([...values]).toEqual([...ramp(12, 2)]);
    const read = program.read()['layers.0.weight']?.values as Float32Array;
    values.fill(0);
    expect([...(program.read()['layers.0.weight']?.values ?? [])]).toEqual([...read]);
  });

  it('draws other negatives for another seed and the same negatives for the same seed', () => {
    const program = compile({
      draw: {
        inputs: { seed: { shape: [2], dtype: 'int32' } },
        build: ({ seed }) => ({ drawn: randomInts(seed as Tensor, [1000], 7) }),
      },
    });
    const draw = (step: number) => [
      ...(program.run('draw', { seed: Int32Array.of(1, step) }).drawn ?? []),
    ];
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(new Set(draw(1))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
  });

  it('leaves no tensor behind, however often it runs', () => {
    const program = compile({ train });
    program.run('train', { x: ramp(6) });
    const before = backend.binding.getNumOfTensors();
    for (let i = 0; i < 100; i += 1) program.run('train', { x: ramp(6) });
    expect(backend.binding.getNumOfTensors()).toBe(before);
  });

  it('refuses an input of the wrong size by its name', () => {
    const program = compile({ train });
    expect(() => program.run('train', { x: ramp(5) })).toThrow(FeedError);
    expect(() => program.run('train', { x: ramp(5) })).toThrow(
      /'x' of 'train' has 5 values.*\[2, 3\] needs 6/,
    );
    expect(() => program.run('train', {})).toThrow(/'x' of 'train' has no values/);
    expect(() => program.assign({ nothing: ramp(1) })).toThrow(/no such weight/);
  });

  it('refuses a function that reads a value while it is recorded', () => {
    const build: StepFunction['build'] = ({ x }) => {
      (x as Tensor).dataSync();
      return { x: x as Tensor };
    };
    expect(() => compile({ bad: { inputs: train.inputs, build } })).toThrow(RecordingError);
  });

  it.each(
    Object.entries(MEMORIES).flatMap(([where, make]) => [4, 5, 7].map((n) => ({ where, make, n }))),
  )('takes $n bytes from $where, and gives them, as they are', ({ make, n }) => {
    const program = compile({
      same: {
        inputs: { x: { shape: [1, n], dtype: 'uint8' } },
        build: ({ x }) => {
          const numbers = cast(x as Tensor, DT.uint8, DT.float32);
          return { numbers, bytes: cast(numbers, DT.float32, DT.uint8) };
        },
      },
    });
    const bytes = make(n).map((_, i) => 250 - i);
    const x = make(n);
    x.set(bytes);
    const { numbers, bytes: out } = program.run('same', { x });
    expect(Array.from(numbers ?? [])).toEqual(Array.from(bytes));
    expect(Array.from(out ?? [])).toEqual(Array.from(bytes));
  });
});
