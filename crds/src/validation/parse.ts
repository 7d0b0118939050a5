import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml';
import type { Run } from '../v1alpha1/run.ts';
import { formatPath, isObject, type Mistake, type Path } from './path.ts';
import { checkRun } from './validate-run.ts';

export interface LocatedMistake {
  /** Such as spec.modules[1].layers[0].channels. */
  path: string;
  /** From 1. */
  line: number;
  column: number;
  message: string;
}

/** A run file with mistakes, all of them. */
export class RunFileError extends Error {
  override readonly name = 'RunFileError';
  readonly mistakes: readonly LocatedMistake[];

  constructor(file: string, mistakes: readonly LocatedMistake[]) {
    const lines = mistakes.map(
      ({ path, line, column, message }) => `${file}:${line}:${column} ${path}: ${message}`,
    );
    super(lines.join('\n'));
    this.mistakes = mistakes;
  }
}

/**
 * The run that the YAML `text` describes, defaults filled in. Of several documents the first
 * GreedyInfoMaxRun counts. `file` is the name that messages begin with.
 * Throws a `RunFileError` with every mistake.
 */
export function parseRun(text: string, file: string): Run {
  const lines = new LineCounter();
  const documents = [...parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })];
  const locate = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const broken = documents.flatMap(({ errors }) => errors);
  if (broken.length > 0) {
    const mistakes = broken.map(({ pos, message }) => ({
      path: '.',
      ...locate(pos[0]),
      message: `is not valid YAML: ${message}`,
    }));
    throw new RunFileError(file, mistakes);
  }
  const document =
    documents.find((each) => each.get?.('kind') === 'GreedyInfoMaxRun') ?? documents[0];
  const { value, unreadable } = read(document);
  const checked = unreadable ? { run: null, mistakes: [unreadable] } : checkRun(value);
  if (checked.run) return checked.run;
  const mistakes = checked.mistakes
    .map(({ path, message }) => ({
      path: formatPath(path),
      ...locate(document ? offsetOf(document, path) : 0),
      message,
    }))
    .sort((a, b) => a.line - b.line || a.column - b.column);
  throw new RunFileError(file, mistakes);
}

/** The document as plain values. */
function read(document: Document.Parsed | undefined): { value?: unknown; unreadable?: Mistake } {
  try {
    const value: unknown = document?.toJS();
    if (isObject(value)) return { value };
    return {
      unreadable: { path: [], message: 'holds no resource; it must be a GreedyInfoMaxRun in YAML' },
    };
  } catch (error) {
    // Aliases without an anchor, or so many that they could only be meant to exhaust memory.
    return { unreadable: { path: [], message: (error as Error).message } };
  }
}

/** Where the value at `path` begins; for one that is not there, the nearest that holds it. */
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
