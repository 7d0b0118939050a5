import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { backend, tf } from '../../tf.ts';
import { Program } from '../program.ts';
import { distance, OPTIMIZER, residual } from '../testing/tensors.ts';
import { traceFunction } from '../trace.ts';
import { withBiasAdd } from './bias-add.ts';

const gpu = backend.binding.isUsingGpuDevice();

/** Returns the ops that replace those of a recording. */
function replaced({ train, weights }: ReturnType<typeof residual>): string[] {
  const { recording, surroundings } = traceFunction(train, weights);
  const { ops } = withBiasAdd(recording, surroundings);
  return ops.filter((op, i) => op !== recording.ops[i]).map(({ op }) => op);
}

describe.skipIf(gpu)('a bias of a convolution that a shortcut is added to', () => {
  it('becomes BiasAdd where the sum has no relu beside other users', () => {
    // The first block's sum has a relu and a shortcut as users.
    expect(replaced(residual('squares'))).toEqual(['BiasAdd']);
    expect(replaced(residual('relu'))).toEqual([]);
  });

  it('changes neither outputs nor gradients', () => {
    const fused = step(residual('squares'));
    const apart = step(
      residual('squares', (y, bias) => tf.add(y, tf.reshape(bias, [1, 1, 1, -1]))),
    );
    expect(Object.keys(fused)).toHaveLength(3 * 10 + 2);
    for (const [name, values] of Object.entries(fused)) {
      expect(distance(values, apart[name] as Float32Array), name).toBeLessThan(1e-5);
    }
  });

  it.each(['squares', 'relu'])(
    'is no reason for TensorFlow to give up fusing (%s)',
    async (loss) => {
      const script = `
      import { Program } from '../program.ts';
      import { OPTIMIZER, residual } from '../testing/tensors.ts';
      const { train, weights, x } = residual('${loss}');
      for (const precision of ['float32', 'bfloat16']) {
        const settings = { weights, optimizer: OPTIMIZER, functions: { train }, precision };
        Program.compile(settings).run('train', { x });
      }`;
      const { stderr } = await promisify(execFile)(
        process.execPath,
        ['--input-type=module-typescript', '--eval', script],
        // TensorFlow uses oneDNN by default only on processors with AVX-512.
        { cwd: import.meta.dirname, env: { ...process.env, TF_ENABLE_ONEDNN_OPTS: '1' } },
      );
      expect(stderr).toContain('oneDNN'); // oneDNN logs
      expect(stderr).not.toContain('remapper failed');
    },
  );
});

/** Returns the outputs of a step and the weights and moments after it. */
function step({ train, weights, x }: ReturnType<typeof residual>): Record<string, Float32Array> {
  const program = Program.compile({ weights, optimizer: OPTIMIZER, functions: { train } });
  const outputs = program.run('train', { x });
  const after = Object.entries(program.read()).map(([name, { values }]) => [name, values]);
  program.dispose();
  return { ...outputs, ...Object.fromEntries(after) };
}
