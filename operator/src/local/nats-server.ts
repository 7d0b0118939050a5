import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createUser } from '@nats-io/nkeys';
import { connect } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { connectionOptions } from '../nats/connection.ts';
import type { StreamPlan } from '../plan/run.ts';
import { killWithParent } from './watchdog.ts';

/** The NATS server of a run on one machine: listens on the loopback interface only and is restarted when it dies. */

/** The server does not start, or keeps dying. */
export class NatsServerError extends Error {
  override readonly name = 'NatsServerError';
}

export interface NatsServer {
  url: string;
  /** Credentials file with mode 0600. The server refuses clients without it. */
  creds: string;
  /** Process id of the current server. */
  readonly pid: number | undefined;
  /** Aborts with an error as reason if the server died and a restart failed. */
  failed: AbortSignal;
  stop(): Promise<void>;
}

export interface NatsServerOptions {
  binary: string;
  /** Folder of the server's configuration, log and data. */
  folder: string;
  /** Port to listen on. Default: a free port. */
  port?: number;
  /** Maximum memory of streams, in bytes. */
  memoryBytes: number;
  /**
   * Set when activations bypass the server. One Go thread uses about 17 % less CPU (measured): idle threads otherwise
   * wake for every message. Default: one thread per core.
   */
  oneThread?: boolean;
  log: Logger;
}

const HOST = '127.0.0.1';
/** Credentials file in the server's folder. */
const CREDS_FILE = 'run.creds';
const START_WITHIN_MS = 15_000;
const RESTART_AFTER_MS = 250;
const MIB = 1024 * 1024;

/** Name of the server's folder in a run folder. */
export const NATS_FOLDER = 'nats';

/** Returns the path of the credentials file for the server of the run in `out`. */
export const credsFile = (out: string): string => join(out, NATS_FOLDER, CREDS_FILE);

/** Returns twice the maximum size of the streams plus 256 MiB, in bytes: the server counts more than payloads. */
export const memoryFor = (streams: readonly Pick<StreamPlan, 'maxBytes'>[]): number =>
  2 * streams.reduce((sum, { maxBytes }) => sum + maxBytes, 0) + 256 * MIB;

/** Starts nats-server and resolves when it accepts connections. Throws a `NatsServerError`. */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const port = await choosePort(options.port);
  const folder = resolve(options.folder);
  mkdirSync(folder, { recursive: true });
  const creds = join(folder, CREDS_FILE);
  const auth = await authorizeOneUser(creds);
  writeFileSync(
    join(folder, 'server.conf'),
    configuration(port, folder, options.memoryBytes, auth),
  );
  const failed = new AbortController();
  let stopping = false;
  let server: ChildProcess | undefined;
  let restarted = Promise.resolve();

  async function launch(): Promise<void> {
    const child = spawnServer(options, folder);
    server = child;
    await untilReady(child, port, folder, creds);
    child.once('exit', (code, signal) => {
      if (stopping) return;
      options.log.warn({ code, signal }, 'nats-server ended; starting it again');
      restarted = restart();
    });
  }

  /** Restarts the server. Its streams are lost; upkeep creates them again. */
  async function restart(attempts = 3): Promise<void> {
    await sleep(RESTART_AFTER_MS);
    if (stopping) return;
    try {
      await launch();
    } catch (error) {
      if (attempts > 1) await restart(attempts - 1);
      else failed.abort(error);
    }
  }

  await launch();
  return {
    url: `nats://${HOST}:${port}`,
    creds,
    get pid() {
      return server?.pid;
    },
    failed: failed.signal,
    async stop() {
      stopping = true;
      await restarted;
      if (server === undefined || hasEnded(server)) return;
      const ended = once(server, 'exit');
      // Its data is in memory and no longer needed, so it needs no graceful shutdown.
      server.kill('SIGKILL');
      await ended;
    },
  };
}

/** Returns the configuration as JSON, which NATS accepts. */
function configuration(
  port: number,
  folder: string,
  memoryBytes: number,
  auth: Record<string, unknown>,
): string {
  const jetstream = {
    store_dir: join(folder, 'jetstream'),
    max_memory_store: memoryBytes,
    max_file_store: 64 * MIB,
  };
  return `${JSON.stringify({ host: HOST, port, jetstream, ...auth }, null, 2)}\n`;
}

function spawnServer({ binary, oneThread }: NatsServerOptions, folder: string): ChildProcess {
  const log = openSync(join(folder, 'server.log'), 'a');
  const child = spawn(binary, ['--config', join(folder, 'server.conf')], {
    stdio: ['ignore', log, log],
    env: { ...(oneThread && { GOMAXPROCS: '1' }), ...process.env },
    // Its own process group: Ctrl-C must reach only the run, which needs the server for a graceful stop.
    detached: true,
  });
  closeSync(log);
  killWithParent(child);
  return child;
}

/**
 * Creates a user, writes its credentials to a file, and returns a configuration that admits only this user. Other
 * users of the machine can reach the loopback interface, too.
 */
async function authorizeOneUser(creds: string): Promise<Record<string, unknown>> {
  const user = createUser();
  // A credentials file needs a JWT. The server has no account to verify it with, and checks the user's key.
  const jwt = await encodeUser('gim', user, createAccount());
  rmSync(creds, { force: true }); // an existing file would keep its mode
  writeFileSync(creds, fmtCreds(jwt, user), { mode: 0o600, flag: 'wx' });
  return { authorization: { users: [{ nkey: user.getPublicKey() }] } };
}

async function untilReady(
  child: ChildProcess,
  port: number,
  folder: string,
  creds: string,
): Promise<void> {
  let spawnError: Error | undefined;
  child.once('error', (error) => {
    spawnError = error;
  });
  const deadline = Date.now() + START_WITHIN_MS;
  for (;;) {
    await sleep(20);
    if (spawnError !== undefined || hasEnded(child) || Date.now() > deadline) {
      child.kill('SIGKILL');
      const log = join(folder, 'server.log');
      throw new NatsServerError(
        `nats-server did not start on ${HOST}:${port}: ${spawnError?.message ?? lastLine(log)}; its log is ${log}`,
      );
    }
    try {
      const connection = await connect({
        ...connectionOptions({ url: `${HOST}:${port}`, creds }),
        reconnect: false,
      });
      await connection.close();
      return;
    } catch {
      // The server is not ready yet.
    }
  }
}

const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

const lastLine = (file: string): string =>
  readFileSync(file, 'utf8').trim().split('\n').at(-1) || 'it said nothing';

/** Returns `wanted`, or a free port if it is undefined. Throws if `wanted` is in use. */
async function choosePort(wanted: number | undefined): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(wanted ?? 0, HOST);
    await once(probe, 'listening');
    return (probe.address() as AddressInfo).port;
  } catch (error) {
    throw new NatsServerError(
      `port ${wanted} on ${HOST} cannot be used for NATS (${(error as NodeJS.ErrnoException).code}); give another with --nats-port, or leave it out for a free one`,
      { cause: error },
    );
  } finally {
    probe.close();
  }
}
