import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  aFailedPod,
  aJob,
  aPendingPod,
  aPod,
  aReport,
  aRun,
  ended,
  plan,
  trained,
} from './testing/builders.ts';
import type { Observed } from './types.ts';

/** Anybody who may write to a namespace can change what the planner reads of it. */

const run = aRun();
const good: Observed = {
  modules: plan(run).apply.filter(({ kind }) => kind === 'GreedyInfoMaxModule') as never,
  configMaps: plan(run).apply.filter(({ kind }) => kind === 'ConfigMap') as never,
  jobs: [aJob('first', run), ended(aJob('second', run), 'Failed'), ...(trained(run).jobs ?? [])],
  pods: [
    aPod('first'),
    aFailedPod('second', 1, '{"msg": "out of memory"}'),
    aPendingPod('first', { conditions: [{ type: 'PodScheduled', status: 'False' }] }),
    ...(trained(run).pods ?? []),
  ],
  reports: [aReport('first')],
};

type Path = (string | number)[];

function* pathsOf(value: unknown, path: Path = []): Generator<Path> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    yield at;
    yield* pathsOf(part, at);
  }
}

/** A copy of `value`, as it comes over the wire, with `part` at `path`; undefined takes it out. */
function changed<T>(value: T, path: Path, part: unknown): T {
  const copy = JSON.parse(JSON.stringify(value));
  const last = path.at(-1) as string;
  let at = copy;
  for (const key of path.slice(0, -1)) {
    at = at[key];
    if (typeof at !== 'object' || at === null) return copy;
  }
  if (Array.isArray(at) && part === undefined) at.splice(Number(last), 1);
  else if (part === undefined) delete at[last];
  else at[last] = part;
  return copy;
}

/** Paths that any client may write: all but kinds, names and owners, by whose values the caches select. */
const paths = [...pathsOf(good)].filter(
  ([list, , ...rest]) =>
    rest.length > 0 &&
    list !== 'reports' &&
    !(
      rest.length === 1 &&
      ['metadata', 'apiVersion', 'kind', 'spec', 'status'].includes(rest[0] as string)
    ),
);

/** Values that the schemas of the core API allow in place of a value: one of its type, or none. */
function alike(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value === 'number') return fc.oneof(fc.constant(undefined), fc.integer());
  if (typeof value === 'boolean') return fc.constantFrom(undefined, true, false);
  if (Array.isArray(value)) return fc.constantFrom(undefined, []);
  if (typeof value === 'object') return fc.constantFrom(undefined, {});
  const texts = ['', 'x'.repeat(100_000), '-1', '1e309', 'NaN', '{"msg":1}', '[', 'null', '\u0000'];
  return fc.oneof(
    fc.constantFrom(
      undefined,
      ...texts,
      '9999-12-31T23:59:59Z',
      '0000-01-01T00:00:00Z',
      '__proto__',
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
}

const valueAt = (value: unknown, path: Path) =>
  path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], value);

const change = fc
  .constantFrom(...paths)
  .chain((path) =>
    fc.tuple(fc.constant(path), alike(valueAt(JSON.parse(JSON.stringify(good)), path))),
  );

test('objects with odd content never stop a plan', () => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      const observed = changes.reduce((all, [path, part]) => changed(all, path, part), good);
      const planned = plan(run, observed);
      // A status that the API server would refuse is no better than none.
      expect(JSON.stringify(planned.status).length).toBeLessThan(40_000);
    }),
    { seed: 29, numRuns: 500 },
  );
});
