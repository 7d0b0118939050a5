import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** Tests extraction from the wheels, on small wheels with the paths of the real ones. */

const UNPACK = join(import.meta.dirname, 'unpack_tensorflow.py');
const METADATA = `Metadata-Version: 2.4
Name: tensorflow
Version: 2.21.0
Requires-Dist: numpy>=1.26.0
Requires-Dist: nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"
Requires-Dist: nvidia-nccl-cu12<3.0,>=2.27.7; extra == "and-cuda"
`;

let folder: string;
let out: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gim-unpack-'));
  out = join(folder, 'out');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a wheel, a zip file, with Python's own zipfile; values are the files' contents. */
function wheel(name: string, files: Record<string, string>): string {
  const path = join(folder, `${name}.whl`);
  const script = `import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for name, text in json.loads(sys.argv[2]).items():
        info = zipfile.ZipInfo(name)
        info.external_attr = (0o755 if "/bin/" in name else 0o644) << 16
        wheel.writestr(info, text)`;
  execFileSync('python3', ['-c', script, path, JSON.stringify(files)]);
  return path;
}

function unpack(...wheels: string[]) {
  execFileSync('mkdir', [out]);
  const { status, stderr } = spawnSync('python3', [UNPACK, out, ...wheels], { encoding: 'utf8' });
  return { status, stderr };
}

const tensorflow = (metadata = METADATA) =>
  wheel('tensorflow', {
    'tensorflow/libtensorflow_cc.so.2': 'cc',
    'tensorflow/libtensorflow_framework.so.2': 'framework',
    'tensorflow/include/tensorflow/c/c_api.h': 'header',
    'tensorflow/include/absl/types/any.h': 'not C',
    'tensorflow/python/ops.py': 'python',
    'tensorflow-2.21.0.dist-info/METADATA': metadata,
  });
const nvidia = (name: string, files: Record<string, string>) =>
  wheel(name, {
    ...files,
    [`${name.replaceAll('-', '_')}-1.dist-info/METADATA`]: `Name: ${name}\nVersion: 1\n`,
    [`${name.replaceAll('-', '_')}-1.dist-info/licenses/License.txt`]: 'licence',
  });

describe('unpack_tensorflow.py', () => {
  it('takes the two libraries and the C headers of the CPU build', () => {
    const cpu = tensorflow('Name: tensorflow-cpu\nVersion: 2.21.0\n');
    expect(unpack(cpu)).toEqual({ status: 0, stderr: '' });
    expect(readFileSync(join(out, 'lib/libtensorflow_cc.so.2'), 'utf8')).toBe('cc');
    expect(readlinkSync(join(out, 'lib/libtensorflow.so'))).toBe('libtensorflow_cc.so.2');
    expect(existsSync(join(out, 'include/tensorflow/c/c_api.h'))).toBe(true);
    expect(existsSync(join(out, 'include/absl'))).toBe(false);
    expect(existsSync(join(out, 'tensorflow'))).toBe(false);
  });

  it("puts NVIDIA's libraries where TensorFlow looks for them, with their licences", () => {
    const cublas = nvidia('nvidia-cublas-cu12', {
      'nvidia/cublas/lib/libcublas.so.12': 'cublas',
      'nvidia/cublas/include/cublas.h': 'header',
    });
    const nccl = nvidia('nvidia-nccl-cu12', {
      'nvidia/nccl/lib/libnccl.so.2': 'nccl',
      'nvidia/cuda_nvcc/bin/ptxas': 'program',
      'nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc': 'bitcode that XLA reads',
      'nvidia/nccl/lib/libnccl_device.bc': 'bitcode that nothing reads',
    });
    expect(unpack(tensorflow(), cublas, nccl)).toEqual({ status: 0, stderr: '' });
    expect(readFileSync(join(out, 'nvidia/cublas/lib/libcublas.so.12'), 'utf8')).toBe('cublas');
    expect(existsSync(join(out, 'nvidia_nccl_cu12-1.dist-info/licenses/License.txt'))).toBe(true);
    execFileSync('test', ['-x', join(out, 'nvidia/cuda_nvcc/bin/ptxas')]);
    expect(existsSync(join(out, 'nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc'))).toBe(true);
    expect(existsSync(join(out, 'nvidia/nccl/lib/libnccl_device.bc'))).toBe(false);
    expect(existsSync(join(out, 'nvidia/cublas/include'))).toBe(false);
  });

  it('fails when a library that the GPU build asks for is not among the wheels', () => {
    const cublas = nvidia('nvidia-cublas-cu12', { 'nvidia/cublas/lib/libcublas.so.12': 'cublas' });
    const { status, stderr } = unpack(tensorflow(), cublas);
    expect(status).toBe(1);
    expect(stderr).toContain('setup/cuda-requirements.txt lacks nvidia-nccl-cu12');
    expect(stderr).not.toContain('cublas');
  });
});
