import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { definitionFiles } from './definitions.ts';

type Node = { [key: string]: unknown };

const files = definitionFiles();
const definitions = files.map(({ name, text }) => ({ name, crd: parse(text) }));
const schemaOf = (crd: Node) => (crd as never as Crd).spec.versions[0].schema.openAPIV3Schema;

interface Crd {
  spec: {
    names: { shortNames: string[]; categories: string[] };
    versions: [{ schema: { openAPIV3Schema: Node }; subresources: Node }];
  };
}

/** Every schema in a schema, with the place where it stands. */
function* schemas(node: Node, at: string): Generator<[at: string, node: Node]> {
  yield [at, node];
  for (const [name, property] of Object.entries((node.properties ?? {}) as Node)) {
    yield* schemas(property as Node, `${at}.${name}`);
  }
  for (const key of ['items', 'additionalProperties']) {
    if (node[key]) yield* schemas(node[key] as Node, `${at}.${key}`);
  }
}

const ALLOWED = [
  'type',
  'description',
  'properties',
  'required',
  'items',
  'additionalProperties',
  'default',
  'enum',
  'format',
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
  'multipleOf',
  'x-kubernetes-validations',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-int-or-string',
  'x-kubernetes-preserve-unknown-fields',
];

test.each(files)('crds/$name is up to date', ({ name, text }) => {
  expect(readFileSync(join(import.meta.dirname, '../..', name), 'utf8')).toBe(text);
});

test('the definitions are small enough for kubectl apply', () => {
  expect(files.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThan(200_000);
});

describe.each(definitions)('$name', ({ crd }) => {
  const all = [...schemas(schemaOf(crd), '')];

  test('is structural: every value has one type, and no keyword is foreign', () => {
    for (const [at, node] of all) {
      const typed = 'type' in node || node['x-kubernetes-int-or-string'] === true;
      expect(typed, `${at} has a type`).toBe(true);
      expect(ALLOWED, at).toEqual(expect.arrayContaining(Object.keys(node)));
      expect('properties' in node && 'additionalProperties' in node, at).toBe(false);
      for (const bound of ['exclusiveMinimum', 'exclusiveMaximum']) {
        expect([undefined, true], at).toContain(node[bound]);
      }
    }
  });

  test('every list, map and text has a bound, so that the cost of rules has one', () => {
    for (const [at, node] of all.filter(([at]) => /^\.(spec|status)\./.test(at))) {
      if (node.type === 'string' && !node.enum) expect(node, at).toHaveProperty('maxLength');
      if (node.type === 'array') expect(node, at).toHaveProperty('maxItems');
      if (node.additionalProperties) expect(node, at).toHaveProperty('maxProperties');
      if (node.type === 'integer') expect(node, at).toHaveProperty('minimum');
    }
  });

  test('a list told apart by a key requires the key', () => {
    for (const [at, node] of all) {
      const keys = (node['x-kubernetes-list-map-keys'] ?? []) as string[];
      expect((node.items as Node | undefined)?.required ?? [], at).toEqual(
        expect.arrayContaining(keys),
      );
    }
  });

  test('every field of the spec has a description', () => {
    for (const [at, node] of all.filter(
      ([at]) => /^\.spec\b/.test(at) && !/(items|additionalProperties)$/.test(at),
    )) {
      expect(node.description, at).toBeTruthy();
    }
  });

  test('is listed by kubectl get all and keeps its status apart', () => {
    const { names, versions } = (crd as Crd).spec;
    expect(names.categories).toEqual(['all']);
    expect(versions[0].subresources).toHaveProperty('status');
  });
});

test('modules can be scaled, by paths that exist', () => {
  const crd = definitions.find(({ name }) => name === 'greedyinfomaxmodules.yaml')?.crd as Crd;
  const { subresources, schema } = crd.spec.versions[0];
  const known = [...schemas(schema.openAPIV3Schema, '')].map(([at]) => at);
  const paths = Object.values(subresources.scale as Node);
  expect(paths).toHaveLength(3);
  expect(known).toEqual(expect.arrayContaining(paths));
});

test('what a run began with is immutable', () => {
  const crd = definitions.find(({ name }) => name === 'greedyinfomaxruns.yaml')?.crd as Crd;
  const immutable = [...schemas(crd.spec.versions[0].schema.openAPIV3Schema, '')]
    .filter(([, node]) =>
      JSON.stringify(node['x-kubernetes-validations'] ?? '').includes('oldSelf'),
    )
    .map(([at]) => at);
  expect(immutable).toEqual([
    '.spec',
    '.spec.seed',
    '.spec.data',
    '.spec.augmentation',
    '.spec.patches',
    '.spec.window',
    '.spec.modules',
    '.spec.modules.items',
    '.spec.modules.items.layers',
    '.spec.modules.items.objective',
    '.spec.objective',
    '.spec.order',
  ]);
});
