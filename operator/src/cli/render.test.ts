import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { gim, tinyRun } from '../../../test/support/gim.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gim-render-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

it('gim render prints YAML in the namespace asked for, and streams as comments', async () => {
  const file = tinyRun(folder, (text) =>
    text.replace('spec:', 'spec:\n  podTemplate: { nodeSelector: { gpu: "yes" } }'),
  );
  const { code, output } = await gim('render', file, '--namespace', 'team');
  expect(code, output).toBe(0);
  const objects = parseAllDocuments(output, { version: '1.1' }).map((each) => each.toJS());
  expect(objects).toHaveLength(9);
  expect(new Set(objects.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['team']));
  expect(objects.at(-1).spec.template.spec.nodeSelector).toEqual({ gpu: 'yes' });
  expect(output).toMatch(/^# {3}GIM_team_tiny_one: .* consumer two$/m);
});

it('gim render takes the namespace of the file', async () => {
  const file = tinyRun(folder, (text) =>
    text.replace('name: tiny', 'name: tiny\n  namespace: lab'),
  );
  expect((await gim('render', file)).output).toContain('namespace: lab');
});
