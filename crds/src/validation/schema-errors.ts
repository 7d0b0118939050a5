import { z } from 'zod';
import { type Path, show, type ValidationError, valueAt } from './path.ts';

/** Messages for violations of a schema: the value, and what would be valid. */

type Issue = z.core.$ZodIssue;

/** Maximum number of unknown fields that are reported for one mapping. */
const KEYS_MAX = 100;

/** Returns the issues that zod found as validation errors. */
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

/** Texts for limits of lengths. */
const LENGTHS: Record<string, (bound: string) => string> = {
  string: (bound) => `text of ${bound} characters`,
  array: (bound) => `a list of ${bound} items`,
};

const bounded = (origin: string, bound: string): string => LENGTHS[origin]?.(bound) ?? bound;

/** Returns the valid values, to follow "must be". */
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

/** Returns the schema at `path` in `schema`, or undefined. */
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

/** Returns a description of the number at `path`, or undefined if it is not a number. */
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

/** Maximum length of a word that is compared: the time is proportional to the lengths of both words. */
const WORD_MAX = 64;

/** Returns the word of `words` with the fewest edits from `word`, or undefined if all are too different. */
function closest(word: string, words: readonly string[]): string | undefined {
  if (word.length > WORD_MAX) return undefined;
  const limit = Math.max(1, Math.floor(word.length / 3));
  const [best] = words
    .map((candidate) => ({ candidate, edits: edits(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter((each) => each.edits <= limit)
    .sort((a, b) => a.edits - b.edits);
  return best?.candidate;
}

/** Returns the Levenshtein distance of `a` and `b`. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, left] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, right] of [...b].entries()) {
      next.push(
        Math.min(
          (row[j + 1] as number) + 1,
          (next[j] as number) + 1,
          (row[j] as number) + (left === right ? 0 : 1),
        ),
      );
    }
    row = next;
  }
  return row[b.length] as number;
}
