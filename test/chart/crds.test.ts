import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { definitionFiles } from '../../crds/src/generate/definitions.ts';
import { CHART, ofKind, render } from './render.ts';

const KEEP = { 'helm.sh/resource-policy': 'keep' };
const ROOT = resolve(import.meta.dirname, '../..');

it.each(definitionFiles().map(({ name }) => name))(
  '%s in the chart equals the file in crds/',
  (name) => {
    const text = readFileSync(join(CHART, 'files/crds', name), 'utf8');
    expect(text).toBe(readFileSync(join(ROOT, 'crds', name), 'utf8'));
  },
);

it('the definitions are installed and kept', async () => {
  const found = ofKind(await render(), 'CustomResourceDefinition');
  expect(found.map(({ metadata }) => metadata.name).toSorted()).toEqual([
    'greedyinfomaxmodules.greedyinfomax.dev',
    'greedyinfomaxruns.greedyinfomax.dev',
  ]);
  for (const { metadata } of found) expect(metadata.annotations).toEqual(KEEP);
});

it('the definitions can belong to the release, or be left out', async () => {
  const loose = ofKind(await render({ crds: { keep: false } }), 'CustomResourceDefinition');
  expect(loose.map(({ metadata }) => metadata.annotations)).toEqual([undefined, undefined]);
  const none = await render({ crds: { install: false } });
  expect(ofKind(none, 'CustomResourceDefinition')).toEqual([]);
});
