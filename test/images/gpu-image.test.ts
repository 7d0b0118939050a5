import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILD_TIMEOUT, buildImage, type Image, openImage } from './container.ts';

/**
 * Tests the trainer's CUDA image as far as possible without a GPU. Its build takes 3 GB of
 * downloads and 20 GB of disk, so this runs only if GIM_TEST_GPU_IMAGE is set.
 */

/**
 * Libraries that TensorFlow opens by name to find and use GPUs; their names are strings in its own
 * libraries.
 */
const OPENED = [
  'libcudart.so.12',
  'libcublas.so.12',
  'libcublasLt.so.12',
  'libcudnn.so.9',
  'libcufft.so.11',
  'libcusolver.so.11',
  'libcusparse.so.12',
  'libcupti.so.12',
  'libnccl.so.2',
  'libnvrtc.so.12',
  'libnvJitLink.so.12',
];
/** Part of the driver, which the node provides. */
const DRIVER = 'libcuda.so.1';

describe.runIf(process.env.GIM_TEST_GPU_IMAGE)("the trainer's image for CUDA", () => {
  let image: Image;
  const node = (script: string) => image.run({ command: ['node', '-e', script] });

  beforeAll(async () => {
    await buildImage('trainer');
    image = await openImage('trainer');
  }, BUILD_TIMEOUT);
  afterAll(() => image?.close());

  it('has the pinned packages with their licences, and no driver', () => {
    const folder = join(image.root, 'opt/tensorflow');
    const pinned = readFileSync(
      join(import.meta.dirname, '../../setup/cuda-requirements.txt'),
      'utf8',
    );
    for (const [, name = '', version] of pinned.matchAll(/^(nvidia\S+)==(\S+)/gm)) {
      const about = join(folder, `${name.replaceAll('-', '_')}-${version}.dist-info`);
      const files = readdirSync(about, { recursive: true }).join();
      expect(files, name).toContain('METADATA');
      expect(files, name).toMatch(/license/i);
    }
    const libraries = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(libraries.filter((path) => path.includes('libcuda.so'))).toEqual([]);
    expect(existsSync(join(folder, 'nvidia/cuda_nvcc/bin/ptxas'))).toBe(true);
  });

  it('resolves every library that one of its libraries needs', async () => {
    const { code, output } = await image.run({
      command: ['bash', '-c', 'find /opt/tensorflow -name "*.so*" | xargs ldd 2>&1'],
    });
    expect(output).toContain('libtensorflow_framework.so.2 => /opt/tensorflow/lib/');
    const missing = new Set(output.match(/\S+ => not found/g));
    missing.delete(`${DRIVER} => not found`);
    expect([...missing]).toEqual([]);
    expect(code).toBe(0);
  });

  it.each(OPENED)('finds %s by name, as TensorFlow opens it', async (library) => {
    const { output } = await node(`process.dlopen({ exports: {} }, '${library}')`);
    // The library was opened, but is not an addon.
    expect(output).toContain('Module did not self-register');
  });

  it('does not find the driver on a machine that has none', async () => {
    const { output } = await node(`process.dlopen({ exports: {} }, '${DRIVER}')`);
    expect(output).toContain(`${DRIVER}: cannot open shared object file`);
  });

  it('also computes without a GPU', async () => {
    const { code, output } =
      await node(`import('/app/trainer/src/tf.ts').then(({ backend, tf, tensorflowVersion }) => {
      console.log(tensorflowVersion, backend.binding.isUsingGpuDevice(), tf.matMul([[1, 2]], [[3], [4]]).dataSync()[0]);
    })`);
    expect(code, output).toBe(0);
    expect(output).toContain('2.21.0 false 11');
  });
});
