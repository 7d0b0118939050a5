import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real NATS server with JetStream, for tests. */

export interface TestNats {
  url: string;
  port: number;
  /** Of the server that runs now: another after `restart`. */
  readonly pid: number;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Kills what still runs and starts a server on the same port; what was in memory is gone. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const BINARY = join(import.meta.dirname, '../../node_modules/.bin/nats-server');

/**
 * Starts nats-server on a free port, its JetStream in a temporary folder. `host` must be an address of this
 * machine alone; `config` names a file with what else the server is told.
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
  // A test that fails before it stops the server must not leave it behind.
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

/** Resolves when a NATS server says who it is, which it does before it asks anybody in. */
async function greeted(host: string, port: number): Promise<void> {
  const socket = createConnection(port, host);
  try {
    const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(2000) });
    if (!String(data).startsWith('INFO ')) throw new Error(`no NATS server: ${data}`);
  } finally {
    socket.destroy();
  }
}

/** A port that nothing listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
