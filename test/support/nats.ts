import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Starts a real NATS server with JetStream, for tests. */

export interface TestNats {
  url: string;
  port: number;
  /** Process id of the current server; changes with `restart`. */
  readonly pid: number;
  /** Kills the server with SIGKILL. */
  kill(): Promise<void>;
  /**
   * Kills the server if it still runs and starts another on the same port; data in memory is lost.
   */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const BINARY = join(import.meta.dirname, '../../node_modules/.bin/nats-server');

/**
 * Starts nats-server on a free port, with JetStream in a temporary folder. `host` must be an
 * address that only this machine can reach; `config` names a file with further settings.
 */
export async function startNats(
  host = '127.0.0.1',
  options: { config?: string } = {},
): Promise<TestNats> {
  const folder = mkdtempSync(join(tmpdir(), 'gim-nats-'));
  const port = await freePort();
  const start = () => launch(host, port, folder, options.config);
  let server = await start();

  async function kill(): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }
  // Stops the server with the process, in case a test fails before stopping it.
  const onExit = () => server.kill('SIGKILL');
  process.once('exit', onExit);

  return {
    url: `nats://${host}:${port}`,
    port,
    get pid() {
      return server.pid as number;
    },
    kill,
    async restart() {
      await kill();
      server = await start();
    },
    async stop() {
      await kill();
      process.off('exit', onExit);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch(
  host: string,
  port: number,
  folder: string,
  config?: string,
): Promise<ChildProcess> {
  const args = ['--addr', host, '--port', String(port), '--jetstream', '--store_dir', folder];
  if (config !== undefined) args.push('--config', config);
  const server = spawn(BINARY, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  server.stderr.on('data', (chunk) => {
    log += chunk;
  });
  for (;;) {
    try {
      await greeted(host, port);
      return server;
    } catch (error) {
      if (server.exitCode !== null) throw new Error(`nats-server ended:\n${log}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Resolves when a NATS server sends its INFO line, which precedes authentication. */
async function greeted(host: string, port: number): Promise<void> {
  const socket = createConnection(port, host);
  try {
    const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(2000) });
    if (!String(data).startsWith('INFO ')) throw new Error(`not a NATS server: ${data}`);
  } finally {
    socket.destroy();
  }
}

/** Returns a free port. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
