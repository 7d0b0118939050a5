import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** Finds a nats-server that is new enough. */

/** No usable nats-server was found. */
export class NatsServerMissingError extends Error {
  override readonly name = 'NatsServerMissingError';
}

const OLDEST = [2, 14] as const;
const BIN = join(import.meta.dirname, '../../../node_modules/.bin');

/**
 * Returns the path of nats-server: `option`, else NATS_SERVER, else the project's copy, else the first on PATH.
 * Throws a `NatsServerMissingError` if it is missing, does not run, or is older than 2.14.
 */
export async function findNatsServer(
  option: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const named = option ?? env.NATS_SERVER;
  const folders = [BIN, ...(env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')];
  const file = named ?? folders.map((folder) => join(folder, 'nats-server')).find(isExecutable);
  if (file === undefined) {
    throw new NatsServerMissingError(
      'nats-server is neither in node_modules/.bin nor on PATH; install it with `make setup`, or name one with --nats-server PATH',
    );
  }
  const version = await versionOf(file);
  if (!isNewEnough(version)) {
    throw new NatsServerMissingError(
      `${file} is nats-server ${version}; ${OLDEST.join('.')} or newer is needed`,
    );
  }
  return file;
}

async function versionOf(file: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(file, ['--version']);
    const version = /v?(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
    if (version !== undefined) return version;
    throw new Error(`it says ${JSON.stringify(stdout.trim())}`);
  } catch (error) {
    throw new NatsServerMissingError(
      `${file} cannot be run as nats-server: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
