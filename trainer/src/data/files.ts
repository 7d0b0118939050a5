import { existsSync, openSync, read as readCallback } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { adviceFor } from '@greedy-infomax/crds/own-folder';
import { DataError } from './errors.ts';

const read = promisify(readCallback);

/** Default maximum bytes of a file that is read whole: four hours of speech are 460 MB. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * Reads a whole file of at most `most` bytes. Checks type and size before it allocates memory.
 * @throws DataError with what is `expected`, for anything but a readable regular file of that size
 */
export async function readDataFile(
  file: string,
  expected: string,
  most = MAX_BYTES,
): Promise<Uint8Array> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new DataError(`${file} is not a file; it should be ${expected}`);
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

/** Returns the sorted names of the folders in `root`. Throws a `DataError` with what is `expected`. */
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

/** Returns the sorted paths of files below `folder` that match. Sorted, so that the order is the same everywhere. */
export async function filesBelow(folder: string, pattern: RegExp): Promise<string[]> {
  const names = existsSync(folder) ? await readdir(folder, { recursive: true }) : [];
  return names
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** Records of one size in a file that need not fit into memory. */
export interface Records {
  readonly length: number;
  /** Reads the bytes of the records in the order of `indices`. */
  read(indices: readonly number[]): Promise<Uint8Array>;
}

/**
 * Opens a file of records. Never closes it, because a data set is read until the process ends.
 * @throws DataError if the file is missing or its size is not a multiple of `recordBytes`
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
