import { existsSync, openSync, read as readCallback } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { adviceFor } from '@greedy-infomax/crds/own-folder';
import { DataError } from './errors.ts';

const read = promisify(readCallback);

/** Bytes of the largest file that is read whole: four hours of speech are 460 MB. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * Reads a file of at most `most` bytes whole. Throws a `DataError` that says what `expected` there, also for what is no
 * file, such as a pipe, and before any memory is taken for a larger one.
 */
export async function readDataFile(
  file: string,
  expected: string,
  most = MAX_BYTES,
): Promise<Uint8Array> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new DataError(`${file} is no file; it should be ${expected}`);
    if (found.size > most) {
      throw new DataError(
        `${file} has ${found.size} bytes; at most ${most} are read as ${expected}: cut it in several files`,
      );
    }
    return await readFile(file);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw unreadable(file, expected, error as Error);
  }
}

/** Names of the folders in `root`, sorted. Throws a `DataError` that says what `expected` there. */
export async function folderNames(root: string, expected: string): Promise<string[]> {
  try {
    const entries = await readdir(root, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (cause) {
    throw new DataError(`cannot read ${root}; it should hold ${expected}`, { cause });
  }
}

/** Paths of the files below `folder` whose name matches; sorted, so that a data set has one order on every machine. */
export async function filesBelow(folder: string, pattern: RegExp): Promise<string[]> {
  const names = existsSync(folder) ? await readdir(folder, { recursive: true }) : [];
  return names
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** Records of one size, one after another in a file that need not fit into memory. */
export interface Records {
  readonly length: number;
  /** Bytes of the records, in the order asked for. */
  read(indices: readonly number[]): Promise<Uint8Array>;
}

/**
 * Opens a file of records. It stays open as long as the process: a data set is read until training ends.
 * Throws a `DataError` if it is missing or holds no whole number of records.
 */
export async function openRecords(
  file: string,
  recordBytes: number,
  expected: string,
): Promise<Records> {
  let size: number;
  let descriptor: number;
  try {
    ({ size } = await stat(file));
    descriptor = openSync(file, 'r');
  } catch (error) {
    throw unreadable(file, expected, error as Error);
  }
  if (size % recordBytes !== 0) {
    throw new DataError(
      `${file} has ${size} bytes; ${expected} would have a multiple of ${recordBytes}: is it cut short?`,
    );
  }
  return {
    length: size / recordBytes,
    async read(indices) {
      const records = new Uint8Array(indices.length * recordBytes);
      await Promise.all(
        indices.map(async (index, i) => {
          const { bytesRead } = await read(
            descriptor,
            records,
            i * recordBytes,
            recordBytes,
            index * recordBytes,
          );
          if (bytesRead !== recordBytes) {
            throw new DataError(`${file} ends within record ${index}; it had ${size} bytes before`);
          }
        }),
      );
      return records;
    },
  };
}

const unreadable = (file: string, expected: string, cause: Error): DataError =>
  new DataError(
    `cannot read ${file} (${cause.message}${adviceFor(cause) ? `: ${adviceFor(cause)}` : ''}); it should be ${expected}`,
    { cause },
  );
