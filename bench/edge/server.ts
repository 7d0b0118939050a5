import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startNats, type TestNats } from '../../test/support/nats.ts';

/** A NATS server that reports its connections. */

interface Monitor {
  /** Clients disconnected as too slow. */
  slow_consumers: number;
}

export interface BenchNats extends Pick<TestNats, 'url' | 'pid'> {
  monitor(): Promise<Monitor>;
  /** Closed connections of the edge. */
  ended(): Promise<number>;
  stop(): Promise<void>;
}

export async function startBenchNats(): Promise<BenchNats> {
  const folder = mkdtempSync(join(tmpdir(), 'gim-bench-edge-'));
  const http = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'server.conf');
  writeFileSync(config, JSON.stringify({ http }));
  const nats = await startNats('127.0.0.1', { config });
  return {
    url: nats.url,
    pid: nats.pid,
    monitor: async () => (await (await fetch(`http://${http}/varz`)).json()) as Monitor,
    async ended() {
      const answer = await fetch(`http://${http}/connz?state=closed&limit=10000`);
      const { connections } = (await answer.json()) as { connections: { name?: string }[] };
      return connections.filter(({ name }) => name?.startsWith('bench-')).length;
    },
    async stop() {
      await nats.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
