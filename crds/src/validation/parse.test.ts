import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { parseRun, parseRuns, RunFileError } from './parse.ts';
import { changed, errorsIn, MINIMAL } from './testing/run-file.ts';

const examples = join(import.meta.dirname, '../../../examples');
/** The line of a text that `path` stands on, found by the words of that line. */
const lineOf = (text: string, words: string): number =>
  text.split('\n').findIndex((line) => line.includes(words)) + 1;

const files = readdirSync(examples, { recursive: true, encoding: 'utf8' });

test.each(files.filter((name) => name.endsWith('.yaml')))('examples/%s is a valid run', (name) => {
  const run = parseRun(readFileSync(join(examples, name), 'utf8'), name);
  expect(run.metadata.name).toBe(name.replace('.yaml', '').replace('/', '-'));
});

test('fills in every default', () => {
  expect(parseRun(MINIMAL, 'run.yaml').spec).toMatchObject({
    seed: 2,
    batchSize: 32,
    augmentation: { pad: 0, flip: false, grayscale: false },
    optimizer: { type: 'adam', learningRate: 2e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    buffers: { depth: 256, encoding: 'int8', whenFull: 'dropOldest', maxReuse: 0 },
    checkpoints: { everySeconds: 60, keep: 3 },
    evaluation: { atEnd: true, epochs: 100, batchSize: 128, learningRate: 1e-3 },
    suspend: false,
  });
});

test('of several documents the run counts', () => {
  const text = `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n---\n${MINIMAL}`;
  expect(parseRun(text, 'run.yaml').metadata.name).toBe('small');
  const [error] = errorsIn(text.replace('crop: 28', 'crop: 29'));
  expect(error?.line).toBe(lineOf(text, 'crop: 28'));
});

test('anchors and aliases are followed, also to the line of a validation error', () => {
  const text = MINIMAL.replace('      layers:', '      layers: &layers').replace(
    /layers:\n +- type: residual[\s\S]*?stride: 2/,
    'layers: *layers',
  );
  expect(errorsIn(text)).toEqual([]);
  const errors = errorsIn(text.replace('channels: 8', 'channels: none'));
  expect(errors.map(({ path, line }) => [path, line])).toEqual([
    ['spec.modules[0].layers[0].channels', lineOf(text, 'channels: 8')],
    ['spec.modules[1].layers[0].channels', lineOf(text, 'channels: 8')],
  ]);
});

describe('validation errors', () => {
  test('every one is reported, in the order of the file, with file, line and column', () => {
    const text = MINIMAL.replace('crop: 28', 'crop: big')
      .replace('channels: 8', 'chanels: 8')
      .replace('samples: 640', 'samples: 0');
    expect(() => parseRun(text, 'run.yaml')).toThrow(RunFileError);
    const lines = errorsIn(text);
    expect(lines.map(({ path }) => path)).toEqual([
      'spec.augmentation.crop',
      'spec.modules[0].layers[0].channels',
      'spec.modules[0].layers[0].chanels',
      'spec.training.samples',
    ]);
    let message = '';
    try {
      parseRun(text, 'run.yaml');
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split('\n')[0]).toBe(
      'run.yaml:9:11 spec.augmentation.crop: "big" must be a whole number from 4 to 1024',
    );
    expect(message.split('\n')).toHaveLength(4);
  });

  test('a field that is missing stands at the line of what should hold it', () => {
    const [error] = errorsIn(
      changed(['spec.augmentation.crop', undefined], ['spec.augmentation.pad', 0]),
    );
    expect(error).toMatchObject({
      path: 'spec.augmentation.crop',
      line: lineOf(MINIMAL, 'augmentation:'),
      message: expect.stringMatching(/is missing: Rows and columns of the random crop/),
    });
  });

  test('a field that a layer of another type has says which fields this one takes', () => {
    const [error] = errorsIn(changed(['spec.modules.1.layers.0.kernel', 5]));
    expect(error).toMatchObject({
      path: 'spec.modules[1].layers[0].kernel',
      message: 'a residual layer has no kernel; it takes channels, stride, repeat',
    });
  });

  test.each<[what: string, words: string, path: string, line: string, message: RegExp]>([
    [
      'an unknown field',
      'format: digits',
      'spec.data.formt',
      'formt: digits',
      /did you mean format/,
    ],
    ['a value out of bounds', 'size: 4', 'spec.patches.size', 'size: 0', /0 must be at least 1/],
    [
      'a number in quotes',
      'size: 4',
      'spec.patches.size',
      "size: '4'",
      /"4" must be a whole number from 1 to 512/,
    ],
    [
      'an unknown value',
      'type: infoNCE',
      'spec.objective.type',
      'type: infoNC',
      /did you mean infoNCE/,
    ],
    [
      'a name with a dot',
      'name: small',
      'metadata.name',
      'name: s.mall',
      /lower-case letters, digits and -/,
    ],
    [
      'a name that is too long',
      'name: small',
      'metadata.name',
      `name: ${'a'.repeat(41)}`,
      /at most 40 characters/,
    ],
    [
      'another version',
      'apiVersion: greedyinfomax.dev/v1alpha1',
      'apiVersion',
      'apiVersion: v2',
      /must be "greedyinfomax.dev\/v1alpha1"/,
    ],
  ])('%s', (_, words, path, line, message) => {
    const text = MINIMAL.replace(words, line);
    expect(errorsIn(text)).toContainEqual({
      path,
      line: lineOf(text, line),
      column: expect.any(Number),
      message: expect.stringMatching(message),
    });
  });

  test('YAML that cannot be read says where', () => {
    const [error] = errorsIn(MINIMAL.replace('name: small', 'name: [small'));
    expect(error).toMatchObject({ path: '.', message: expect.stringMatching(/not valid YAML/) });
    expect(errorsIn(`${MINIMAL}spec: {}\n`)[0]?.message).toMatch(/unique/);
    expect(errorsIn(MINIMAL.replace('crop: 28', 'crop: *nowhere'))[0]?.message).toMatch(/nowhere/);
  });

  test.each(['', '# nothing', '- a', 'text'])('%j holds no run', (text) => {
    expect(errorsIn(text)[0]?.message).toMatch(/must be a GreedyInfoMaxRun/);
  });
});

describe('a nested file', () => {
  const nested = (depth: number) => `a: ${'['.repeat(depth)}${']'.repeat(depth)}`;
  const messages = (text: string) => errorsIn(text).map(({ message }) => message);
  const TOO_DEEP = 'nests lists and mappings more than 64 deep';

  test('is refused from 65 levels on, the mapping of the file included', () => {
    expect(messages(nested(63))).not.toContain(TOO_DEEP);
    expect(messages(nested(64))).toEqual([TOO_DEEP]);
  });
});

test('a wrong item of a list stands at its own line and column', () => {
  const text = MINIMAL.replace('        - type: conv\n          channels: 8', '        - 5');
  const line = lineOf(text, '- 5');
  expect(errorsIn(text)).toMatchObject([{ path: 'spec.modules[0].layers[0]', line, column: 11 }]);
});

test('a quantity that is neither a number nor text is refused with what it may be', () => {
  const resources = { limits: { cpu: true } };
  expect(errorsIn(changed(['spec.modules.0.resources', resources]))).toMatchObject([
    { message: expect.stringContaining('must be a whole number or text') },
  ]);
});

describe('a file of several documents', () => {
  const named = (name: string, samples = 640) =>
    changed(['metadata.name', name], ['spec.training.samples', samples]);

  it('is read whole: every run is checked, objects of other APIs are passed over', () => {
    const text = `# A comment\n---\napiVersion: v1\nkind: Namespace\n---\n${named('a')}---\n${named('b')}---\n`;
    expect(parseRuns(text, 'run.yaml').map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
    const errors = errorsIn(`${named('a', -1)}---\n${named('b', -2)}`);
    expect(errors.map(({ path, line }) => [path, line])).toEqual([
      ['spec.training.samples', 26],
      ['spec.training.samples', 53],
    ]);
  });

  it('starts no run if it has two', () => {
    expect(() => parseRun(`${named('a')}---\n${named('b')}`, 'run.yaml')).toThrow(
      'run.yaml:1:1 .: has several runs (a, b, …); a run starts from a file of its own',
    );
  });

  it.each(['GreedyInfomaxRun', 'greedyinfomaxrun'])('with the kind %s is refused', (kind) => {
    const errors = errorsIn(`${named('a')}---\n${changed(['kind', kind])}`);
    expect(errors.map(({ path }) => path)).toEqual(['kind']);
  });
});

it.each([
  ['.nan', '.nan'],
  ['-.inf', '-.inf'],
])('a number %s is called by its name', (text, shown) => {
  const file = MINIMAL.replace('samples: 640', `samples: ${text}`);
  expect(errorsIn(file).map(({ message }) => message)).toEqual([expect.stringContaining(shown)]);
});
