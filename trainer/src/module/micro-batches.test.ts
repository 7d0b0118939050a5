import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Layer, ModuleConfig } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { multipliesBfloat16 } from '../step/passes/bfloat16.ts';
import { backend } from '../tf.ts';
import { microBatchSizes } from './micro-batches.ts';

/** A module on maps of 49 patches of 8 x 8. */
const config = (batchSize: number, channels: number, layers: Layer[]) =>
  ({ batchSize, input: [49, 8, 8, channels], layers, precision: 'float32' }) as ModuleConfig;

const small: Layer[] = [{ type: 'conv', channels: 1 }];
const sum = (sizes: number[]) => sizes.reduce((all, size) => all + size, 0);

describe.skipIf(backend.binding.isUsingGpuDevice())('a batch', () => {
  it('has as many micro-batches as ops run side by side, of sizes that differ by at most one', () => {
    expect(microBatchSizes(config(8, 1, small), 1)).toEqual([8]);
    expect(microBatchSizes(config(8, 1, small), 3)).toEqual([2, 3, 3]);
  });

  it('has no micro-batch without a sample', () => {
    expect(microBatchSizes(config(2, 1, small), 16)).toEqual([1, 1]);
  });

  const large = config(16, 32, small); // 401 kB a sample

  it('has more micro-batches where maps are larger than caches', () => {
    expect(microBatchSizes(large, 1)).toEqual([4, 4, 4, 4]);
  });

  it('has up to eight micro-batches on one thread, four on each of several threads', () => {
    const largest = config(64, 32, small);
    expect(microBatchSizes(largest, 1)).toHaveLength(8);
    expect(microBatchSizes(largest, 2)).toHaveLength(8);
    expect(microBatchSizes(largest, 3)).toHaveLength(12);
  });

  it('has micro-batches of one size where it can be halved', () => {
    expect(microBatchSizes(config(24, 32, small), 1)).toEqual([3, 3, 3, 3, 3, 3, 3, 3]); // 9.6 MB, 5 times the caches
  });

  it('has half as many micro-batches in bfloat16, where the processor has it', () => {
    const parts = multipliesBfloat16() ? [8, 8] : [4, 4, 4, 4];
    expect(microBatchSizes({ ...large, precision: 'bfloat16' }, 1)).toEqual(parts);
  });

  it('has no more micro-batches than pay for reading the weights for each', () => {
    const heavy: Layer[] = [{ type: 'conv', channels: 2048, kernel: 3, stride: 8 }]; // 75 MB with 1024 channels
    const sizes = microBatchSizes(config(16, 1024, heavy), 2);
    expect(sizes).toHaveLength(4);
    expect(sum(sizes)).toBe(16);
  });
});

it.skipIf(backend.binding.isUsingGpuDevice())(
  'is encoded on a schedule that TensorFlow can sort topologically',
  async () => {
    const script = `
    import { OPTIMIZER } from '../step/testing/tensors.ts';
    import { cast } from '../step/ops.ts';
    import { Program } from '../step/program.ts';
    import { DT, tf } from '../tf.ts';
    import { forEachMicroBatch, joinMaps, scheduleGradient } from './micro-batches.ts';
    const sizes = [1, 2, 2, 2];
    const train = {
      inputs: { x: { shape: [7, 6, 6, 1], dtype: 'uint8' } },
      build: ({ x }, { filter, bias }) => {
        const parts = forEachMicroBatch(x, sizes, (part) => {
          const maps = tf.conv2d(cast(part, DT.uint8, DT.float32), filter, 1, 'same');
          return scheduleGradient(tf.mean(tf.relu(tf.add(maps, bias)), [1, 2]), sizes);
        });
        return { loss: tf.sum(tf.square(joinMaps(parts))) };
      },
      minimise: 'loss',
    };
    const values = (...shape) => ({ shape, values: new Float32Array(shape.reduce((a, b) => a * b)).fill(0.1) });
    const weights = { filter: values(3, 3, 1, 8), bias: values(8) };
    const program = Program.compile({ weights, optimizer: OPTIMIZER, functions: { train } });
    program.run('train', { x: new Uint8Array(7 * 36).fill(1) });`;
    // TensorFlow uses oneDNN by default only on processors with AVX-512.
    const env = { ...process.env, TF_NUM_INTEROP_THREADS: '1', TF_ENABLE_ONEDNN_OPTS: '1' };
    const { stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module-typescript', '--eval', script],
      { cwd: import.meta.dirname, env },
    );
    expect(stderr).toContain('oneDNN'); // oneDNN logs
    expect(stderr).not.toContain('sorted in topological order');
  },
);
