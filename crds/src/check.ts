import { draftOf } from './draft.ts';
import { schemaMistakes } from './messages.ts';
import { formatPath, isObject, type Mistake } from './path.ts';
import { ruleMistakes } from './rules.ts';
import { type Run, runSchema } from './run.ts';
import { unimplementedMistakes } from './unimplemented.ts';

export type { Mistake, Path } from './path.ts';
export { formatPath } from './path.ts';

export type Checked = { run: Run; mistakes: [] } | { run: null; mistakes: Mistake[] };

/** Checks what claims to be a run: the run with its defaults filled in, or every mistake in it. */
export function checkRun(value: unknown): Checked {
  const parsed = runSchema.safeParse(value);
  const refused = unimplementedMistakes(value);
  const taken = new Set(refused.map(({ path }) => formatPath(path)));
  const wrong = schemaMistakes(runSchema, value, parsed.error?.issues ?? []).filter(
    ({ path }) => !taken.has(formatPath(path)),
  );
  const mistakes = [
    ...refused,
    ...wrong,
    ...ruleMistakes(draftOf(isObject(value) ? value.spec : undefined)),
  ];
  return parsed.success && mistakes.length === 0
    ? { run: parsed.data, mistakes: [] }
    : { run: null, mistakes };
}
