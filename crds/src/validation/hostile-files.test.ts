import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRun, RunFileError } from './parse.ts';
import { changed, errorsIn, MINIMAL } from './testing/run-file.ts';

/** Files that somebody else made: bounded work, bounded messages, a refusal that names the limit. */

const lines = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');

/** 64 modules of 64 layers. */
const modules = (layer: () => object) =>
  Array.from({ length: 64 }, (_, i) => ({
    name: `m${i}`,
    layers: Array.from({ length: 64 }, layer),
  }));

/** Each anchor holds the one before twice: 2^20 values in 20 lines. */
const laughs = lines(20, (i) => `a${i}: &a${i} [${i === 0 ? 'x' : `*a${i - 1}, *a${i - 1}`}]`);

describe('a hostile run file', { timeout: 60_000 }, () => {
  it.each<[what: string, text: string, message: RegExp]>([
    ['more than 1 MiB', `a: "${'x'.repeat(1_048_576)}"`, /has more than 1048576 bytes/],
    ['lists in lists', '['.repeat(5000) + ']'.repeat(5000), /nests lists|not valid YAML/],
    ['100 lists in lists', `a: ${'['.repeat(100)}${']'.repeat(100)}`, /more than 64 deep/],
    ['mappings in mappings', lines(1000, (i) => `${' '.repeat(i)}a:`), /nests lists|not valid/],
    ['sequences in sequences', '- '.repeat(100_000), /nests lists|not valid YAML/],
    ['a list that holds itself', 'a: &a [*a]', /more than 64 deep|Unresolved alias/],
    ['aliases of aliases', laughs, /Excessive alias count/],
    [
      'an alias of many values, often',
      `a: &a [${'1,'.repeat(10_000)}]\nb: [${'*a,'.repeat(90)}]`,
      /more than 100000 values/,
    ],
    ['100,000 values', `a: [${'1,'.repeat(200_000)}]`, /more than 100000 values/],
    ['one key often', 'a: 1\n'.repeat(100_000), /Map keys must be unique: "a" occurs twice/],
    ['nothing', '', /has no resource/],
  ])('with %s is refused', (_, text, message) => {
    const errors = errorsIn(text);
    expect(errors.map((each) => each.message).join('\n')).toMatch(message);
    expect(errors.length).toBeLessThanOrEqual(100);
  });

  it('with 50,000 fields is refused as fast as one with a few', () => {
    expect(errorsIn(lines(50_000, (i) => `k${i}: 1`)).length).toBeLessThanOrEqual(100);
  });

  it('with 2,048 errors tells the first 100, and how many there are', () => {
    const layer = () => ({ type: 'none', channels: 0 });
    const text = changed([
      'spec.modules',
      modules(layer).map((module) => ({ ...module, layers: module.layers.slice(48) })),
    ]);
    expect(() => parseRun(text, 'run.yaml')).toThrow(/run\.yaml: 1948 more errors are not shown$/);
    expect(errorsIn(text)).toHaveLength(100);
  });

  it('cannot write to the terminal, nor fill it', () => {
    const text = `${MINIMAL}  "${'x'.repeat(10_000)}\\e]0;title\\a": 1\n  "\\e[2J": 1\n`;
    try {
      parseRun(text, 'run.yaml');
      expect.unreachable();
    } catch (error) {
      const { message } = error as RunFileError;
      expect(message).not.toMatch(/[^\n\P{Cc}]/u);
      expect(Math.max(...message.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(500);
    }
  });

  it('of the 187 kB that stopped the operator is refused for its layers', () => {
    const layer = () => ({ type: 'residual', channels: 8, repeat: 64 });
    expect(errorsIn(changed(['spec.modules', modules(layer)]))).toMatchObject([
      {
        path: 'spec.modules',
        message: expect.stringMatching(/has 262144 layers.*at most 1024/),
      },
    ]);
  });

  it('with pods of more than 32 kB is refused', () => {
    const affinity = { nodeAffinity: { note: 'x'.repeat(32_000) } };
    const env = [{ name: 'A', value: 'y'.repeat(1000) }];
    expect(errorsIn(changed(['spec.podTemplate', { affinity, env }]))).toMatchObject([
      { path: 'spec.podTemplate', message: expect.stringMatching(/bytes as JSON.*at most 32768/) },
    ]);
  });

  it('with more parameters than a tensor can hold is refused', () => {
    const huge = () => ({ type: 'conv', channels: 8192, kernel: 31 });
    expect(errorsIn(changed(['spec.modules.0.layers', [huge(), huge()]]))).toMatchObject([
      {
        path: 'spec.modules[0].layers',
        message: expect.stringMatching(/at most 2147483647/),
      },
    ]);
  });

  it('of any bytes gives a run or a RunFileError', () => {
    const token = fc.oneof(
      fc.constantFrom(...MINIMAL.split(/(?<=\s)/)),
      fc.constantFrom('&a ', '*a ', '!!binary ', '- ', '? ', ': ', '{', '}', '[', ']', '|\n', '\t'),
      fc.constantFrom(
        '1e999',
        '-0',
        '.nan',
        '0x7fffffffffffffff',
        '"\\u0000"',
        '<<: ',
        '%YAML 9\n',
      ),
      fc.string({ unit: 'binary', maxLength: 8 }),
    );
    const text = fc.array(token, { maxLength: 60 }).map((tokens) => tokens.join(''));
    fc.assert(
      fc.property(text, fc.nat(MINIMAL.length), (added, at) => {
        try {
          parseRun(MINIMAL.slice(0, at) + added + MINIMAL.slice(at), 'run.yaml');
        } catch (error) {
          expect(error).toBeInstanceOf(RunFileError);
        }
      }),
      { seed: 29, numRuns: 400 },
    );
  });
});
