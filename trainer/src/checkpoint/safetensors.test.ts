import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SafetensorsError } from './errors.ts';
import { decodeSafetensors, encodeSafetensors, type StoredTensor } from './safetensors.ts';

const HEADER_AT = 8;

/** A file with this header and as many bytes of data. */
function fileOf(header: unknown, dataBytes = 0): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(HEADER_AT);
  prefix.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]);
}

const f32 = (begin: number, end: number, shape: unknown = [1], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const tensor = fc
  .array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 })
  .chain((shape): fc.Arbitrary<StoredTensor> => {
    const length = shape.reduce((product, size) => product * size, 1);
    const exactly = { minLength: length, maxLength: length };
    return fc.oneof(
      fc.float32Array(exactly).map((data) => ({ dtype: 'F32' as const, shape, data })),
      fc.float64Array(exactly).map((data) => ({ dtype: 'F64' as const, shape, data })),
      fc.int32Array(exactly).map((data) => ({ dtype: 'I32' as const, shape, data })),
      fc.uint16Array(exactly).map((data) => ({ dtype: 'BF16' as const, shape, data })),
      fc.uint8Array(exactly).map((data) => ({ dtype: 'U8' as const, shape, data })),
      fc.bigInt64Array(exactly).map((data) => ({ dtype: 'I64' as const, shape, data })),
    );
  });

describe('safetensors', () => {
  it('decodes the tensors and metadata that it encoded', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({ unit: 'grapheme' }).filter((name) => name !== '__metadata__'),
          tensor,
        ),
        fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' })),
        (tensors, metadata) => {
          const { tensors: read, metadata: texts } = decodeSafetensors(
            encodeSafetensors({ tensors, metadata }),
          );
          expect(Object.entries(read).sort()).toEqual(Object.entries(tensors).sort());
          expect(Object.entries(texts).sort()).toEqual(Object.entries(metadata).sort());
        },
      ),
    );
  });

  it('aligns every tensor to its element size', () => {
    const file = encodeSafetensors({
      tensors: {
        bytes: { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) },
        floats: { dtype: 'F32', shape: [1], data: Float32Array.of(1) },
        doubles: { dtype: 'F64', shape: [1], data: Float64Array.of(1) },
      },
      metadata: { odd: 'x' },
    });
    const headerBytes = Number(Buffer.from(file).readBigUInt64LE());
    const header = JSON.parse(
      Buffer.from(file).toString('utf8', HEADER_AT, HEADER_AT + headerBytes),
    );
    expect(headerBytes % 8).toBe(0);
    expect(header.doubles.data_offsets).toEqual([0, 8]);
    expect(header.floats.data_offsets).toEqual([8, 12]);
    expect(header.bytes.data_offsets).toEqual([12, 15]);
  });

  it('writes the elements of a view, not of its whole buffer', () => {
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    const file = encodeSafetensors({
      tensors: { x: { dtype: 'F32', shape: [2], data } },
      metadata: {},
    });
    expect([...(decodeSafetensors(file).tensors.x?.data ?? [])]).toEqual([2, 3]);
  });

  it.each<[string, StoredTensor, RegExp]>([
    [
      'x',
      { dtype: 'F32', shape: [3], data: new Float32Array(2) },
      /x holds 2 elements; its shape \[3\] wants 3/,
    ],
    [
      'x',
      { dtype: 'F32', shape: [2], data: new Int32Array(2) },
      /x is F32 but held by a Int32Array; use a Float32Array/,
    ],
    ['__metadata__', { dtype: 'U8', shape: [], data: new Uint8Array(1) }, /no tensor may be named/],
  ])('refuses to write tensor %s of %o', (name, value, message) => {
    const encode = () => encodeSafetensors({ tensors: { [name]: value }, metadata: {} });
    expect(encode).toThrow(SafetensorsError);
    expect(encode).toThrow(message);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(), /has 0 bytes/],
    ['a header longer than the file', fileOf('{}').subarray(0, 9), /should be 2 bytes/],
    ['a header of absurd length', Buffer.alloc(16, 0xff), /should be 18446744073709551615 bytes/],
    ['a header that is not JSON', fileOf('{"x"'), /not JSON/],
    ['a header that is not UTF-8', fileOf('{}').fill(0xff, 8), /not JSON/],
    ['a header that is no object', fileOf([]), /not a JSON object/],
    ['metadata other than strings', fileOf({ __metadata__: { step: 1 } }), /object of strings/],
    ['a tensor that is no object', fileOf({ x: 1 }), /x is not described/],
    ['an unknown type', fileOf({ x: f32(0, 4, [1], 'F8') }, 4), /type F8; known are F64/],
    ['a type from the prototype', fileOf({ x: f32(0, 4, [1], 'toString') }, 4), /type toString/],
    ['a negative size', fileOf({ x: f32(0, 4, [-1]) }, 4), /no valid shape/],
    ['a fractional offset', fileOf({ x: f32(0.5, 4.5) }, 5), /no valid shape and data_offsets/],
    [
      'a shape of another size',
      fileOf({ x: f32(0, 4, [2]) }, 4),
      /spans 4 bytes; F32 \[2\] wants 8/,
    ],
    [
      'a hole',
      fileOf({ x: f32(0, 4), y: f32(8, 12) }, 12),
      /y begins at byte 8 of the data, not at 4/,
    ],
    ['an overlap', fileOf({ x: f32(0, 4), y: f32(2, 6) }, 6), /y begins at byte 2/],
    ['bytes that no tensor covers', fileOf({ x: f32(0, 4) }, 5), /need 4 bytes.*has 5/],
    [
      'a key that comes twice',
      fileOf(`{"x":${JSON.stringify(f32(0, 4))},"x":${JSON.stringify(f32(0, 4))}}`, 4),
      /has the key "x" twice/,
    ],
    [
      'a field that comes twice',
      fileOf('{"x":{"dtype":"I32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
      /has the key "dtype" twice/,
    ],
    [
      'a size that is no whole number as it is written',
      fileOf('{"x":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', 4),
      /has the number 1\.0/,
    ],
    [
      'an offset with an exponent',
      fileOf('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4e0]}}', 4),
      /has the number 4e0/,
    ],
    [
      'a shape that overflows',
      fileOf({ x: f32(0, 0, [2 ** 40, 2 ** 40, 0]) }),
      /too many elements/,
    ],
    ['text that is not UTF-8', fileOf('{"__metadata__":{"a":"?"}}').fill(0xff, 30, 31), /not JSON/],
    ['a byte order mark', fileOf('\ufeff{}'), /not JSON|not a JSON object/],
    ['half of a surrogate pair', fileOf('{"__metadata__":{"a":"\\ud800"}}'), /not Unicode/],
    ['white space before the header', fileOf(' {}'), /not a JSON object from its first byte on/],
    ['missing data', fileOf({ x: f32(0, 4) }, 3), /need 4 bytes.*has 3/],
  ])('refuses to read %s', (_, file, message) => {
    expect(() => decodeSafetensors(file)).toThrow(SafetensorsError);
    expect(() => decodeSafetensors(file)).toThrow(message);
  });
});
