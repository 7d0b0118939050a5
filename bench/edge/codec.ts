import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { CODECS } from '../../trainer/src/step/codecs.ts';
import { Program } from '../../trainer/src/step/program.ts';
import { type Tensor, tf } from '../../trainer/src/tf.ts';
import { median } from '../alternate.ts';
import type { Table } from '../results.ts';
import { FLOAT_BYTES, type Format } from './turn.ts';

/**
 * Measures the cost of encoding a sample in the graph and of decoding it, and how well zstd
 * compresses the bytes.
 */

const CHANNELS = 256;
const POSITIONS = FLOAT_BYTES / 4 / CHANNELS;
const REPETITIONS = 9;

export async function codecTable(): Promise<Table> {
  const rows = (['int4', 'int8', 'bfloat16', 'float32'] as const).flatMap((format) =>
    [0.5, 0.85].map((zeros) => rowOf(format, zeros)),
  );
  return {
    columns: [
      'format',
      'zeros',
      'encode, GB/s of float32',
      'decode',
      'zstd: bytes by bytes without',
      'CPU s/GB of encoded bytes: compress',
      'decompress',
    ],
    rows,
  };
}

function rowOf(format: Format, zeros: number): string[] {
  const codec = CODECS[format];
  const z = activations(zeros);
  const encoder = programOf(
    { z: { shape: [1, POSITIONS, CHANNELS], dtype: 'float32' } },
    (inputs) => codec.encode(inputs.z as Tensor, true),
  );
  const bytes = encoder.run('call', { z }).result as Uint8Array;
  const decoder = programOf(
    { bytes: { shape: [1, bytes.length], dtype: 'uint8' } },
    // Only a sum is read back: the values stay where the step needs them.
    (inputs) => tf.sum(codec.decode(inputs.bytes as Tensor, POSITIONS, CHANNELS, true)),
  );
  const encode = millisecondsOf(() => encoder.run('call', { z }));
  const decode = millisecondsOf(() => decoder.run('call', { bytes }));
  encoder.dispose();
  decoder.dispose();
  const options = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
  const compressed = zstdCompressSync(bytes, options);
  const compress = millisecondsOf(() => zstdCompressSync(bytes, options));
  const decompress = millisecondsOf(() => zstdDecompressSync(compressed));
  const rate = (ms: number) => (FLOAT_BYTES / 1e6 / ms).toFixed(1);
  const perGigabyte = (ms: number) => ((ms * 1e6) / bytes.length).toFixed(1);
  return [
    format,
    `${100 * zeros} %`,
    rate(encode),
    rate(decode),
    (compressed.length / bytes.length).toFixed(2),
    perGigabyte(compress),
    perGigabyte(decompress),
  ];
}

function programOf(
  inputs: Parameters<typeof Program.compile>[0]['functions'][string]['inputs'],
  result: (inputs: Record<string, Tensor>) => Tensor,
) {
  return Program.compile({
    weights: {},
    optimizer: { type: 'adam', learningRate: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    functions: { call: { inputs, build: (given) => ({ result: result(given) }) } },
  });
}

/** Rectified normal variates: positive values and zeros. */
function activations(zeros: number): Float32Array {
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return Float32Array.from({ length: FLOAT_BYTES / 4 }, () =>
    Math.random() < zeros ? 0 : Math.abs(normal()),
  );
}

function millisecondsOf(work: () => unknown): number {
  const times = Array.from({ length: REPETITIONS }, () => {
    const begin = performance.now();
    work();
    return performance.now() - begin;
  });
  return median(times.slice(1));
}
