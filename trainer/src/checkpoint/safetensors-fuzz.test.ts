import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SafetensorsError } from './errors.ts';
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts';

const GOOD = Buffer.from(
  encodeSafetensors({
    tensors: {
      a: { dtype: 'F32', shape: [2, 1], data: Float32Array.of(1, 2) },
      b: { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) },
    },
    metadata: { step: '7' },
  }),
);
const HEADER_BYTES = Number(GOOD.readBigUInt64LE(0));
const HEADER = GOOD.toString('latin1', 8, 8 + HEADER_BYTES);
const DATA = GOOD.subarray(8 + HEADER_BYTES);

/** Texts that a parser may read in more than one way. */
const TOKENS = [
  ...[
    '0',
    '1',
    '2',
    '3',
    '8',
    '11',
    '-0',
    '-1',
    '1.0',
    '8e0',
    '1e999',
    '0x8',
    '01',
    'null',
    'true',
  ],
  ...['9007199254740993', '18446744073709551615', '18446744073709551616', '[]', '[[1]]', '{}'],
  ...['"F32"', '"U8"', '"BOOL"', '"f32"', '"a"', '"b"', '"\\ud800"', '"__metadata__"', '"\\u0061"'],
  ...['"shape"', '"dtype":"U8"', ',', ':', '{', '}', '[', ']', ' ', '\n', '\0', '\ufeff', '/**/'],
];

const PARTS = HEADER.match(/"[^"]*"|\d+|./gs) ?? [];

/** A file with these tokens in its header. */
function withHeader(tokens: readonly string[]): Buffer {
  const text = Buffer.from(tokens.join(''));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, DATA]);
}

/** Every header with one token replaced, inserted or taken out. */
const oneEdit = PARTS.flatMap((_, i) => [
  withHeader(PARTS.toSpliced(i, 1)),
  ...TOKENS.flatMap((token) => [
    withHeader(PARTS.toSpliced(i, 1, token)),
    withHeader(PARTS.toSpliced(i, 0, token)),
  ]),
]);

/** Headers with several tokens replaced, inserted or taken out. */
const header = fc
  .array(fc.tuple(fc.nat(), fc.nat({ max: 1 }), fc.constantFrom(...TOKENS, '')), {
    minLength: 2,
    maxLength: 3,
  })
  .map((edits) =>
    withHeader(
      edits.reduce(
        (tokens, [at, removed, token]) => tokens.toSpliced(at % tokens.length, removed, token),
        PARTS as string[],
      ),
    ),
  );

/** A file with some bytes of another value, cut short or longer. */
const bytes = fc
  .tuple(
    fc.array(fc.tuple(fc.nat({ max: GOOD.length - 1 }), fc.nat({ max: 255 })), { maxLength: 3 }),
    fc.integer({ min: -GOOD.length, max: 9 }),
  )
  .map(([edits, change]) => {
    const file = Buffer.from(GOOD);
    for (const [at, value] of edits) file[at] = value;
    if (edits.length > 1) return file;
    return change < 0
      ? file.subarray(0, file.length + change)
      : Buffer.concat([file, Buffer.alloc(change)]);
  });

it('accepts nothing that the reference implementation refuses', () => {
  const random = fc.sample(fc.oneof(header, bytes), { seed: 29, numRuns: 2000 });
  const files = [...oneEdit, ...random];
  const accepted = files.filter((file) => {
    try {
      decodeSafetensors(file);
      return true;
    } catch (error) {
      expect(error).toBeInstanceOf(SafetensorsError);
      return false;
    }
  });
  expect(accepted.length).toBeGreaterThan(20);
  expect(accepted.length).toBeLessThan(files.length / 2);
  const folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
  for (const [i, file] of accepted.entries()) writeFileSync(join(folder, `${i}`), file);
  const script = `
import os, sys, json
from safetensors import safe_open
refused = []
for name in os.listdir(sys.argv[1]):
    try:
        with safe_open(os.path.join(sys.argv[1], name), framework='numpy') as f:
            for key in f.keys(): f.get_tensor(key)
    except Exception as error:
        refused.append([int(name), str(error)])
print(json.dumps(refused))`;
  const text = execFileSync('python3', ['-c', script, folder], {
    encoding: 'utf8',
    env: {
      ...process.env,
      PYTHONPATH: join(import.meta.dirname, '../../../node_modules/.python'),
    },
  });
  rmSync(folder, { recursive: true });
  const refused = (JSON.parse(text) as [number, string][]).map(([i, why]) => [
    accepted[i]?.toString('latin1', 8),
    why,
  ]);
  expect(refused).toEqual([]);
});
