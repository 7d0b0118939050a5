import { z } from 'zod';
import { type Path, show, type ValidationError, valueAt } from './path.ts';
import { closest } from './suggest.ts';

/** A violation of a schema in words: what stands there, and what would be right. */

type Issue = z.core.$ZodIssue;

/** Maximum number of unknown fields that are told of one mapping. */
const KEYS_MAX = 100;

export const schemaErrors = (
  schema: z.ZodType,
  root: unknown,
  issues: readonly Issue[],
): ValidationError[] =>
  issues.flatMap((issue) => {
    const path = issue.path as Path;
    if (issue.code === 'unrecognized_keys') {
      const known = fieldsAt(schema, path);
      return issue.keys
        .slice(0, KEYS_MAX)
        .map((key) => ({ path: [...path, key], message: unknownField(key, known) }));
    }
    const value = valueAt(root, path);
    if (value === undefined) {
      const what = meaningAt(schema, path);
      return [
        { path, message: `is missing${what ? `: ${what}` : `; it must be ${expected(issue)}`}` },
      ];
    }
    const number = issue.code === 'invalid_type' ? numberAt(schema, path) : undefined;
    const right = number ? `must be ${number}` : complaint(issue, value);
    return [{ path, message: `${show(value)} ${right}` }];
  });

export function unknownField(field: string, known: readonly string[]): string {
  const near = closest(field, known);
  return near
    ? `unknown field; did you mean ${near}?`
    : `unknown field; the fields here are ${known.join(', ')}`;
}

function complaint(issue: Issue, value: unknown): string {
  if (issue.code === 'custom') return issue.message;
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    const near = closest(value, issue.values.map(String));
    if (near) return `must be ${expected(issue)}; did you mean ${near}?`;
  }
  return `must be ${expected(issue)}`;
}

const TYPES: Record<string, string> = {
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of fields',
  record: 'a mapping',
};

/** What is counted when a bound is on a length. */
const LENGTHS: Record<string, (bound: string) => string> = {
  string: (bound) => `text of ${bound} characters`,
  array: (bound) => `a list of ${bound} items`,
};

const bounded = (origin: string, bound: string): string => LENGTHS[origin]?.(bound) ?? bound;

/** Continues "must be". */
function expected(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? issue.expected;
    case 'too_small':
      return bounded(
        issue.origin,
        `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`,
      );
    case 'too_big':
      return bounded(issue.origin, `${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`);
    case 'invalid_value':
      return issue.values.length === 1
        ? show(issue.values[0])
        : `one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_format':
      return issue.pattern?.includes('a-z0-9-')
        ? 'lower-case letters, digits and -, with a letter or digit at both ends'
        : `text that matches ${issue.pattern}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_union':
      return 'a whole number or text';
    default:
      return issue.message;
  }
}

/** The schema at `path` below `schema`, out of its wrappers; undefined where there is none. */
function schemaAt(schema: z.ZodType, path: Path): z.ZodType | undefined {
  const inner = unwrap(schema);
  const [key, ...rest] = path;
  if (key === undefined) return schema;
  if (inner instanceof z.ZodObject) {
    const next = inner.shape[key] as z.ZodType | undefined;
    return next && schemaAt(next, rest);
  }
  if (inner instanceof z.ZodArray) return schemaAt(inner.element as z.ZodType, rest);
  return undefined;
}

function unwrap(schema: z.ZodType): z.ZodType {
  const wrapped =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault;
  return wrapped ? unwrap(schema.unwrap() as z.ZodType) : schema;
}

function fieldsAt(schema: z.ZodType, path: Path): string[] {
  const at = schemaAt(schema, path);
  const inner = at && unwrap(at);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/** The number that belongs at `path`, in words; undefined if none does. */
function numberAt(schema: z.ZodType, path: Path): string | undefined {
  const at = schemaAt(schema, path);
  const inner = at && unwrap(at);
  if (!(inner instanceof z.ZodNumber)) return undefined;
  const { format, minValue, maxValue } = inner;
  const range = Number.isFinite(minValue ?? Number.NaN) ? ` from ${minValue} to ${maxValue}` : '';
  return `a ${format === 'safeint' ? 'whole ' : ''}number${range}`;
}

/** Returns the first sentence of the description at `path`; undefined if there is none. */
function meaningAt(schema: z.ZodType, path: Path): string | undefined {
  const at = schemaAt(schema, path);
  const description = at && (at.description ?? unwrap(at).description);
  return description?.split(/(?<=\.)\s/, 1)[0];
}
