import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';

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

/** Starts nats-server on a free port, its JetStream in a temporary folder. `host` must be an address of this machine alone. */
export async function startNats(host = '127.0.0.1'): Promise<TestNats> {
  const folder = mkdtempSync(join(tmpdir(), 'gim-nats-'));
  const port = await freePort();
  let server = await launch(host, port, folder);

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
      server = await launch(host, port, folder);
    },
    async stop() {
      await kill();
      process.off('exit', onExit);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch(host: string, port: number, folder: string): Promise<ChildProcess> {
  const args = ['--addr', host, '--port', String(port), '--jetstream', '--store_dir', folder];
  const server = spawn(BINARY, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  server.stderr.on('data', (chunk) => {
    log += chunk;
  });
  for (;;) {
    try {
      const connection = await connect({ servers: `${host}:${port}`, reconnect: false });
      await connection.close();
      return server;
    } catch (error) {
      if (server.exitCode !== null) throw new Error(`nats-server ended:\n${log}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
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
