import { BLOCKS_MAX, type Run, runSchema } from '../v1alpha1/run.ts';
import { partialSpec } from './partial-spec.ts';
import { isObject, type Path, type ValidationError, valueAt } from './path.ts';
import { ruleErrors } from './rules.ts';
import { schemaErrors } from './schema-errors.ts';

export type { Path, ValidationError } from './path.ts';
export { formatPath } from './path.ts';

/** Maximum number of reported errors; a file of 1 MiB can have 100,000. */
const ERRORS_MAX = 100;

export type Checked =
  | { run: Run; errors: []; omitted: 0 }
  /** `omitted`: number of errors that are not reported. */
  | { run: null; errors: ValidationError[]; omitted: number };

/** Checks the number of layers before any other check loops over them. The API server has the same rule. */
function blockErrors(value: unknown): ValidationError[] {
  const path = ['spec', 'modules'];
  const modules = valueAt(value, path);
  if (!Array.isArray(modules)) return [];
  let blocks = 0;
  for (const module of modules) {
    const layers: unknown = isObject(module) ? module.layers : undefined;
    for (const layer of Array.isArray(layers) ? layers : []) {
      const repeat = isObject(layer) && Number.isInteger(layer.repeat) ? Number(layer.repeat) : 1;
      blocks += Math.max(1, repeat);
    }
  }
  if (blocks <= BLOCKS_MAX) return [];
  const message = `has ${blocks} layers, counting each repetition; it must have at most ${BLOCKS_MAX}`;
  return [{ path, message }];
}

/** Validates `value` as a run. Returns the run with its defaults, or its first 100 validation errors. */
export function checkRun(value: unknown): Checked {
  const tooMuch = blockErrors(value);
  if (tooMuch.length > 0) return { run: null, errors: tooMuch, omitted: 0 };
  const parsed = runSchema.safeParse(value);
  const issues = parsed.error?.issues ?? [];
  const found = [
    ...schemaErrors(runSchema, value, issues.slice(0, ERRORS_MAX)),
    ...ruleErrors(partialSpec(isObject(value) ? value.spec : undefined)),
  ];
  if (parsed.success && found.length === 0) return { run: parsed.data, errors: [], omitted: 0 };
  const errors = found.slice(0, ERRORS_MAX);
  const omitted = found.length - errors.length + Math.max(0, issues.length - ERRORS_MAX);
  return { run: null, errors, omitted };
}

/**
 * Returns `value` without fields that the schema does not have. The API server only accepts fields of its installed CRD, so
 * an unknown field belongs to a later version than this operator.
 */
export function withoutUnknownFields(value: unknown): unknown {
  if (blockErrors(value).length > 0) return value; // too large to validate
  const { issues = [] } = runSchema.safeParse(value).error ?? {};
  return issues.reduce(
    (known, issue) =>
      issue.code === 'unrecognized_keys' ? without(known, issue.path as Path, issue.keys) : known,
    value,
  );
}

/** Returns a copy of `value` without the fields `keys` of the object at `path`. Other parts are shared. */
function without(value: unknown, [key, ...rest]: Path, keys: readonly string[]): unknown {
  if (key === undefined) {
    const fields = Object.entries(isObject(value) ? value : {});
    return Object.fromEntries(fields.filter(([name]) => !keys.includes(name)));
  }
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
  return Object.assign(copy, { [key]: without(valueAt(value, [key]), rest, keys) });
}
