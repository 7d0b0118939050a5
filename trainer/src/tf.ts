import { createRequire } from 'node:module';
import type * as Tfjs from '@tensorflow/tfjs';

/** Loads TensorFlow. Import `tf` from here, never from the package. */

const require = createRequire(import.meta.url);

// tfjs-node 4.22 calls two functions that Node 23 removed (fixed upstream, never released).
const util = require('node:util') as Record<string, unknown>;
util.isNullOrUndefined ??= (value: unknown) => value == null;
util.isArray = Array.isArray; // deprecated in Node 24

// Hides notices about instruction sets, not errors. If you set it, your value takes precedence.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
// Trainers on one machine share a GPU; without this the first process takes all of its memory.
process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';

export const tf = require('@tensorflow/tfjs-node-gpu') as typeof Tfjs;

/** TensorFlow's DataType values. */
export const DT = {
  float32: 1,
  int32: 3,
  uint8: 4,
  int16: 5,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  resource: 20,
} as const;
export type DataType = (typeof DT)[keyof typeof DT];

/** Kinds of attributes in the addon's numbering. */
export const ATTR = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5 } as const;

export interface OpAttr {
  name: string;
  type: number;
  value: unknown;
}

export interface TensorMetadata {
  id: number;
  shape: number[];
  dtype: number;
}

export type Values = Float32Array | Int32Array | Uint8Array;

/** Functions of the native addon. A tensor is named by its id, a number. */
export interface Binding {
  createTensor(shape: number[], dtype: number, values: Values): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Values;
  executeOp(op: string, attrs: OpAttr[], inputs: number[], outputs: number): TensorMetadata[];
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(id: number): void;
  runSavedModel(id: number, inputs: number[], feeds: string, fetches: string): TensorMetadata[];
  getNumOfTensors(): number;
  isUsingGpuDevice(): boolean;
  TF_Version: string;
}

interface Backend {
  binding: Binding;
  getInputTensorIds(tensors: Tfjs.TensorInfo[]): number[];
  createOutputTensor(metadata: TensorMetadata): Tfjs.Tensor;
}

export const backend = tf.backend() as unknown as Backend;

export const tensorflowVersion = backend.binding.TF_Version;

/** Returns the native id of a tensor; uploads its values first if needed. */
export function tensorId(tensor: Tfjs.Tensor): number {
  return backend.getInputTensorIds([tensor])[0] as number;
}

export type { Tfjs };
export type Tensor = Tfjs.Tensor;
