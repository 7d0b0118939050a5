import { moduleConfigSchema } from '@greedy-infomax/crds';
import type { V1ConfigMap } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { aJob, applied, aRun, plan, removed } from './testing/builders.ts';

const maps = (...args: Parameters<typeof plan>) => applied<V1ConfigMap>(plan(...args), 'ConfigMap');

test('each trainer finds its configuration in an immutable ConfigMap', () => {
  const [first] = maps(aRun());
  expect(first?.immutable).toBe(true);
  const config = moduleConfigSchema.parse(JSON.parse(first?.data?.['module.json'] ?? ''));
  expect(config).toMatchObject({ name: 'first', uid: 'run-1', run: { namespace: 'team' } });
});

test('its name changes with its content and with nothing else', () => {
  const names = (...args: Parameters<typeof plan>) => maps(...args).map((m) => m.metadata?.name);
  expect(names(aRun())[0]).toMatch(/^small-first-[0-9a-f]{10}$/);
  expect(names(aRun({ ttlSecondsAfterFinished: 5 }))).toEqual(names(aRun()));
  expect(names(aRun({ training: { samples: 1280 } }))[0]).not.toBe(names(aRun())[0]);
});

test('a ConfigMap that nothing needs any more is removed, one that a Job mounts is not', () => {
  const old = aRun();
  const run = aRun({ training: { samples: 1280 } });
  const configMaps = maps(old);
  const job = aJob('second', old);
  const gone = removed(plan(run, { configMaps, jobs: [job] }));
  expect(gone).toContain(`ConfigMap/${configMaps[0]?.metadata?.name}`);
  expect(gone).not.toContain(`ConfigMap/${configMaps[1]?.metadata?.name}`);
});
