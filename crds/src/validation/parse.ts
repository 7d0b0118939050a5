import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node } from 'yaml';
import { API_GROUP } from '../protocol/names.ts';
import type { Run } from '../v1alpha1/run.ts';
import { formatPath, isObject, type Path, type ValidationError } from './path.ts';
import { checkRun } from './validate-run.ts';
import { parseLikeKubectl } from './yaml.ts';

export interface LocatedValidationError {
  /** Path of the field, such as spec.modules[1].layers[0].channels. */
  path: string;
  /** Line, from 1. */
  line: number;
  /** Column, from 1. */
  column: number;
  message: string;
}

/** Maximum size of a run file in bytes: about the API server's limit for an object. */
export const RUN_FILE_BYTES_MAX = 1_048_576;
/** Maximum number of validation errors of a message, and maximum characters of each. */
const ERRORS_MAX = 100;
const LINE_MAX = 500;

/** Thrown for a run file with validation errors. `omitted` is the number of errors that are not listed. */
export class RunFileError extends Error {
  override readonly name = 'RunFileError';
  readonly errors: readonly LocatedValidationError[];

  constructor(file: string, errors: readonly LocatedValidationError[], omitted = 0) {
    const lines = errors.map(({ path, line, column, message }) =>
      shortened(`${file}:${line}:${column} ${path}: ${message}`),
    );
    if (omitted > 0) lines.push(`${file}: ${omitted} more errors are not shown`);
    super(lines.join('\n'));
    this.errors = errors;
  }
}

/** Returns one line of printable characters, because keys and values may contain terminal escapes. */
function shortened(line: string): string {
  const text = line.length > LINE_MAX ? `${line.slice(0, LINE_MAX - 3)}...` : line;
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '\u{fffd}');
}

/**
 * Returns the run in the YAML `text`, with defaults. Checks every document; messages start with `file`. Throws a
 * `RunFileError` with the validation errors, or if the file has several runs.
 */
export function parseRun(text: string, file: string): Run {
  const [run, second] = parseRuns(text, file) as [Run, ...Run[]];
  if (second === undefined) return run;
  throw wholeFile(
    file,
    `has several runs (${run.metadata.name}, ${second.metadata.name}, …); a run starts from a file of its own`,
  );
}

/**
 * Returns the runs in the YAML `text`, at least one, with defaults. Ignores objects of other APIs and
 * modules, which `kubectl apply` accepts in the same file. Throws a `RunFileError` with the validation errors of all documents.
 */
export function parseRuns(text: string, file: string): Run[] {
  if (Buffer.byteLength(text) > RUN_FILE_BYTES_MAX) {
    throw wholeFile(file, `has more than ${RUN_FILE_BYTES_MAX} bytes`);
  }
  const lines = new LineCounter();
  const documents = parseYaml(text, file, lines);
  const locate = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const broken = documents.flatMap(({ errors }) => errors);
  if (broken.length > 0) {
    const errors = broken.slice(0, ERRORS_MAX).map(({ pos, message }) => ({
      path: '.',
      ...locate(pos[0]),
      message: `is not valid YAML: ${message}`,
    }));
    throw new RunFileError(file, errors, broken.length - errors.length);
  }
  const used = documents.filter((document) => !isEmpty(document));
  const ours = used.filter((document) => !isForeign(document));
  const runs: Run[] = [];
  const errors: LocatedValidationError[] = [];
  let omitted = 0;
  for (const document of ours.length > 0 ? ours : [used[0]]) {
    const { value, unreadable } = read(document);
    const checked = unreadable ? { run: null, errors: [unreadable], omitted: 0 } : checkRun(value);
    if (checked.run) {
      runs.push(checked.run);
      continue;
    }
    omitted += checked.omitted;
    for (const { path, message } of checked.errors) {
      const offset = document ? offsetOf(document, path) : 0;
      errors.push({ path: formatPath(path), ...locate(offset), message });
    }
  }
  if (errors.length === 0) return runs;
  errors.sort((a, b) => a.line - b.line || a.column - b.column);
  omitted += Math.max(0, errors.length - ERRORS_MAX);
  throw new RunFileError(file, errors.slice(0, ERRORS_MAX), omitted);
}

/** Reports whether a document holds nothing, like the text before the first or after the last `---`. */
const isEmpty = ({ contents }: Document.Parsed): boolean =>
  contents === null || (isScalar(contents) && contents.value === null);

/** Reports whether a document is a complete object of another API, or the module object of a run. */
function isForeign(document: Document.Parsed): boolean {
  if (!isMap(document.contents)) return false;
  const apiVersion = document.get('apiVersion');
  const kind = document.get('kind');
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return false;
  return !apiVersion.startsWith(`${API_GROUP}/`) || kind === 'GreedyInfoMaxModule';
}

const wholeFile = (file: string, message: string): RunFileError =>
  new RunFileError(file, [{ path: '.', line: 1, column: 1, message }]);

/** Maximum nesting of lists and mappings, and maximum number of values with all aliases resolved. Runs have far fewer. */
const DEPTH_MAX = 64;
const VALUES_MAX = 100_000;

function parseYaml(text: string, file: string, lines: LineCounter): Document.Parsed[] {
  try {
    return parseLikeKubectl(text, lines);
  } catch (error) {
    if (error instanceof RangeError) throw wholeFile(file, TOO_DEEP); // call stack exceeded
    throw error;
  }
}

/** Returns the document as plain values, or an error. */
function read(document: Document.Parsed | undefined): {
  value?: unknown;
  unreadable?: ValidationError;
} {
  const refused = (message: string) => ({ unreadable: { path: [], message } });
  try {
    const value: unknown = document?.toJS();
    const excess = excessOf(value);
    if (excess !== undefined) return refused(excess);
    if (isObject(value)) return { value };
    return refused('has no resource; it must be a GreedyInfoMaxRun in YAML');
  } catch (error) {
    if (error instanceof RangeError) return refused(TOO_DEEP); // call stack exceeded
    // An alias has no anchor, or there are so many aliases that they would exhaust memory.
    return refused((error as Error).message);
  }
}

const TOO_DEEP = `nests lists and mappings more than ${DEPTH_MAX} deep`;

/** Returns the limit that `value` exceeds, with each use of an alias counted; undefined if none. */
function excessOf(value: unknown): string | undefined {
  const left = [{ value, depth: 0 }];
  let count = 0;
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    count += 1;
    if (count > VALUES_MAX) return `has more than ${VALUES_MAX} values`;
    if (typeof at.value !== 'object' || at.value === null) continue;
    if (at.depth === DEPTH_MAX) return TOO_DEEP;
    const depth = at.depth + 1;
    for (const part of Object.values(at.value)) left.push({ value: part, depth });
  }
  return undefined;
}

/** Returns the offset of the value at `path`, or of the nearest existing parent. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let at: Node | null = document.contents;
  let offset = at?.range?.[0] ?? 0;
  for (const key of path) {
    if (isAlias(at)) at = at.resolve(document) ?? null;
    if (isMap(at)) {
      const pair = at.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (!pair) break;
      const name = pair.key as Node;
      at = pair.value as Node | null;
      const start = isScalar(at) && at.source !== '' ? at : name;
      offset = start.range?.[0] ?? offset;
    } else if (isSeq(at) && typeof key === 'number') {
      at = (at.items[key] as Node | undefined) ?? null;
      if (!at) break;
      offset = at.range?.[0] ?? offset;
    } else {
      break;
    }
  }
  return offset;
}
