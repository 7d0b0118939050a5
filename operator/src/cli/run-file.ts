import { readFileSync } from 'node:fs';
import { parseRun, type Run } from '@greedy-infomax/crds';

/** A file that cannot be read. */
export class UnreadableFileError extends Error {
  override readonly name = 'UnreadableFileError';
}

/** The run in `file`. Throws an `UnreadableFileError`, or a `RunFileError` with every mistake. */
export function readRunFile(file: string): Run {
  return parseRun(readText(file), file);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code;
    throw new UnreadableFileError(`${file} cannot be read: ${why}`, { cause: error });
  }
}
