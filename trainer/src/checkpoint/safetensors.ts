import { SafetensorsError } from './errors.ts';

/**
 * The safetensors format: 8 bytes with the length of the header (little endian), the header in JSON, then
 * the tensors' bytes without gaps. Typed arrays are little endian on every machine that Node runs on here.
 */

/** Typed array of each dtype. JavaScript has no bfloat16: its raw bits are kept. */
const DTYPES = {
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  F32: Float32Array,
  I32: Int32Array,
  U32: Uint32Array,
  F16: Float16Array,
  BF16: Uint16Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;
export type Dtype = keyof typeof DTYPES;

export interface StoredTensor {
  dtype: Dtype;
  shape: readonly number[];
  /** Elements in row-major order. */
  data: InstanceType<(typeof DTYPES)[Dtype]>;
}

export interface Safetensors {
  tensors: Record<string, StoredTensor>;
  metadata: Record<string, string>;
}

const METADATA = '__metadata__';
/** Maximum bytes of a header in the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
const PREFIX_BYTES = 8;

/** Returns the bytes of a tensor without a copy. */
export const bytesOf = ({ data }: StoredTensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Encodes tensors and metadata as a file. Throws a `SafetensorsError`. */
export function encodeSafetensors({ tensors, metadata }: Safetensors): Uint8Array {
  // Wide elements first and a header of a multiple of 8 bytes: every tensor is aligned in the file.
  const entries = Object.entries(tensors).sort(
    ([a, x], [b, y]) =>
      DTYPES[y.dtype].BYTES_PER_ELEMENT - DTYPES[x.dtype].BYTES_PER_ELEMENT || (a < b ? -1 : 1),
  );
  let end = 0;
  const table = entries.map(([name, tensor]) => {
    checkTensor(name, tensor);
    const begin = end;
    end += tensor.data.byteLength;
    return [name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] }];
  });
  const json = JSON.stringify(Object.fromEntries([[METADATA, metadata], ...table]));
  const text = new TextEncoder().encode(json);
  const headerBytes = Math.ceil(text.length / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new SafetensorsError(`the header is ${headerBytes} bytes; at most ${MAX_HEADER_BYTES}`);
  }
  const file = new Uint8Array(PREFIX_BYTES + headerBytes + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(text, PREFIX_BYTES);
  file.fill(0x20, PREFIX_BYTES + text.length, PREFIX_BYTES + headerBytes);
  let at = PREFIX_BYTES + headerBytes;
  for (const [, tensor] of entries) {
    file.set(bytesOf(tensor), at);
    at += tensor.data.byteLength;
  }
  return file;
}

function checkTensor(name: string, { dtype, shape, data }: StoredTensor): void {
  if (name === METADATA) throw new SafetensorsError(`no tensor may be named ${METADATA}`);
  if (!(data instanceof DTYPES[dtype])) {
    throw new SafetensorsError(
      `tensor ${name} is ${dtype} but held by a ${data.constructor.name}; use a ${DTYPES[dtype].name}`,
    );
  }
  if (data.length !== elements(shape)) {
    throw new SafetensorsError(
      `tensor ${name} holds ${data.length} elements; its shape [${shape.join(', ')}] wants ${elements(shape)}`,
    );
  }
}

/** Decodes a file; the tensors are copies. Throws a `SafetensorsError` if the file violates the format. */
export function decodeSafetensors(file: Uint8Array): Safetensors {
  const { header, text, data } = split(file);
  const metadata = parseMetadata(header[METADATA]);
  const infos = Object.entries(header)
    .filter(([name]) => name !== METADATA)
    .map(([name, value]) => ({ name, ...parseInfo(name, value) }))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkStrictly(text);
  let at = 0;
  for (const { name, begin, end } of infos) {
    if (begin !== at) {
      throw new SafetensorsError(
        `tensor ${name} begins at byte ${begin} of the data, not at ${at}`,
      );
    }
    at = end;
  }
  if (at !== data.length) {
    throw new SafetensorsError(`the tensors need ${at} bytes of data; the file has ${data.length}`);
  }
  const tensors = infos.map(({ name, dtype, shape, begin, end }) => [
    name,
    { dtype, shape, data: new DTYPES[dtype](data.slice(begin, end).buffer) },
  ]);
  return { tensors: Object.fromEntries(tensors), metadata };
}

function split(file: Uint8Array): {
  header: Record<string, unknown>;
  text: string;
  data: Uint8Array;
} {
  if (file.length < PREFIX_BYTES) {
    throw new SafetensorsError(`the file has ${file.length} bytes; even an empty one has more`);
  }
  const size = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  if (size > MAX_HEADER_BYTES || Number(size) > file.length - PREFIX_BYTES) {
    throw new SafetensorsError(
      `the header should be ${size} bytes; the file has ${file.length - PREFIX_BYTES} for it`,
    );
  }
  const dataAt = PREFIX_BYTES + Number(size);
  let header: unknown;
  let text: string;
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    text = decoder.decode(file.subarray(PREFIX_BYTES, dataAt));
    header = JSON.parse(text);
  } catch (error) {
    throw new SafetensorsError(`the header is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(header) || !text.startsWith('{')) {
    throw new SafetensorsError('the header is not a JSON object from its first byte on');
  }
  // Avoids file.subarray: for a Buffer it returns a Buffer, and its slice() does not copy.
  const data = new Uint8Array(file.buffer, file.byteOffset + dataAt, file.length - dataAt);
  return { header, text, data };
}

/**
 * Refuses valid JSON that the reference implementation refuses: duplicate keys, numbers that are not written as whole
 * numbers, and unpaired surrogates.
 */
function checkStrictly(json: string): void {
  /** Keys of each open object; null for an array. */
  const open: (Set<string> | null)[] = [];
  let last = '';
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[{}[\]:]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const key = JSON.parse(last) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) throw new SafetensorsError(`the header has the key ${last} twice`);
      keys?.add(key);
    } else if (token.startsWith('"')) {
      if (!(JSON.parse(token) as string).isWellFormed()) {
        throw new SafetensorsError(`the header has a text that is not Unicode: ${token}`);
      }
    } else if (!/^\d+$/.test(token)) {
      throw new SafetensorsError(`the header has the number ${token}; whole numbers are right`);
    }
    last = token;
  }
}

function parseMetadata(metadata: unknown = {}): Record<string, string> {
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw new SafetensorsError(`${METADATA} is not an object of strings`);
  }
  return metadata as Record<string, string>;
}

function parseInfo(name: string, info: unknown) {
  if (!isObject(info)) throw new SafetensorsError(`tensor ${name} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = info;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPES, dtype)) {
    throw new SafetensorsError(
      `tensor ${name} has the type ${dtype}; known are ${Object.keys(DTYPES).join(', ')}`,
    );
  }
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw new SafetensorsError(`tensor ${name} has no valid shape and data_offsets`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = elements(shape) * DTYPES[dtype as Dtype].BYTES_PER_ELEMENT;
  if (end - begin !== bytes) {
    throw new SafetensorsError(
      `tensor ${name} spans ${end - begin} bytes; ${dtype} [${shape.join(', ')}] wants ${bytes}`,
    );
  }
  return { dtype: dtype as Dtype, shape, begin, end };
}

/** Returns the number of elements of a shape. Throws a `SafetensorsError` if a partial product is not a safe integer. */
const elements = (shape: readonly number[]): number =>
  shape.reduce((n, size) => {
    const product = n * size;
    if (Number.isSafeInteger(product)) return product;
    throw new SafetensorsError(`the shape [${shape.join(', ')}] has too many elements`);
  }, 1);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
