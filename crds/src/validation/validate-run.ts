import { type Run, runSchema } from '../v1alpha1/run.ts';
import { draftOf } from './partial-spec.ts';
import { isObject, type Mistake, type Path, valueAt } from './path.ts';
import { ruleMistakes } from './rules.ts';
import { schemaMistakes } from './schema-errors.ts';

export type { Mistake, Path } from './path.ts';
export { formatPath } from './path.ts';

export type Checked = { run: Run; mistakes: [] } | { run: null; mistakes: Mistake[] };

/** Checks what claims to be a run: the run with its defaults filled in, or every mistake in it. */
export function checkRun(value: unknown): Checked {
  const parsed = runSchema.safeParse(value);
  const mistakes = [
    ...schemaMistakes(runSchema, value, parsed.error?.issues ?? []),
    ...ruleMistakes(draftOf(isObject(value) ? value.spec : undefined)),
  ];
  return parsed.success && mistakes.length === 0
    ? { run: parsed.data, mistakes: [] }
    : { run: null, mistakes };
}

/**
 * What claims to be a run, without the fields that are unknown here. The API server lets only those through that its
 * definition has: one that is unknown is of a later version, which its operator is yet to follow.
 */
export function withoutUnknownFields(value: unknown): unknown {
  const { issues = [] } = runSchema.safeParse(value).error ?? {};
  const known = structuredClone(value);
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const at = valueAt(known, issue.path as Path);
    if (isObject(at)) for (const key of issue.keys) delete at[key];
  }
  return known;
}
