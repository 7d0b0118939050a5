/** Path of a value in a run file. */
export type Path = readonly (string | number)[];

/** A field of a run file that is invalid, and the reason. */
export interface ValidationError {
  path: Path;
  message: string;
}

/** Returns the path as text, such as `spec.modules[1].layers[0].channels`; `.` for the whole file. */
export const formatPath = (path: Path): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .replace(/^\.(?=.)/, '') || '.';

const NOT_IN_JSON = new Map<unknown, string>([
  [Number.NaN, '.nan'],
  [Number.POSITIVE_INFINITY, '.inf'],
  [Number.NEGATIVE_INFINITY, '-.inf'],
]);

/** Returns a value as JSON of at most 60 characters, for a message; numbers that JSON lacks as YAML writes them. */
export function show(value: unknown): string {
  const text = NOT_IN_JSON.get(value) ?? JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Returns the value at `path` in `value`, or undefined. */
export const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((at, key) => (at as Record<string | number, unknown> | null)?.[key], value);
