import { closeSync, openSync, readSync } from 'node:fs';
import { parseRun, parseRuns, RUN_FILE_BYTES_MAX, type Run } from '@greedy-infomax/crds';

/** The file cannot be read. */
export class UnreadableFileError extends Error {
  override readonly name = 'UnreadableFileError';
}

/** Reads the run in `file`. Throws an `UnreadableFileError`, or a `RunFileError` with all validation errors. */
export function readRunFile(file: string): Run {
  return parseRun(readText(file), file);
}

/** Reads all runs in `file`, at least one. Throws an `UnreadableFileError`, or a `RunFileError` with all validation errors. */
export function readRunsOf(file: string): Run[] {
  return parseRuns(readText(file), file);
}

/** Reads at most one byte more than the limit of `parseRun`: some files, such as devices, never end. */
function readText(file: string): string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    const bytes = Buffer.alloc(RUN_FILE_BYTES_MAX + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
    return bytes.toString('utf8', 0, length);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code;
    throw new UnreadableFileError(`${file} cannot be read: ${why}`, { cause: error });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
