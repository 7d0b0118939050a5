import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A NATS server behind its own network link, in another network namespace as on another node. Needs
 * root.
 */
export interface FarNats {
  url: string;
  /** Drops everything in transit; neither end is notified. */
  cut(): void;
  mend(): void;
  /** At most so many Mbit/s in each direction; undefined: as fast as it goes. */
  limit(mbit: number | undefined): void;
  close(): Promise<void>;
}

const NATS = join(import.meta.dirname, '../../../node_modules/.bin/nats-server');
const PORT = 4222;
/** By this process, so far. */
let made = 0;

export async function startFarNats(): Promise<FarNats> {
  // Unique to this process, and short: device names have at most 15 characters.
  const id = `${process.pid.toString(36)}${made % 36}`;
  const [space, near, far] = [`gim-${id}`, `gimh${id}`, `gimn${id}`];
  const subnet = `10.${200 + (made % 50)}.${process.pid % 250}`;
  made += 1;
  const ip = (...args: string[]) => void execFileSync('ip', args, { stdio: 'pipe' });
  const inside = (...args: string[]) => ip('netns', 'exec', space, ...args);
  ip('netns', 'add', space);
  ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', space);
  ip('addr', 'add', `${subnet}.1/30`, 'dev', near);
  ip('link', 'set', near, 'up');
  inside('ip', 'addr', 'add', `${subnet}.2/30`, 'dev', far);
  inside('ip', 'link', 'set', far, 'up');
  const store = mkdtempSync(join(tmpdir(), 'gim-far-nats-'));
  const args = [
    '--addr',
    `${subnet}.2`,
    '--port',
    String(PORT),
    '--jetstream',
    '--store_dir',
    store,
  ];
  const server = spawn('ip', ['netns', 'exec', space, NATS, ...args], { stdio: 'ignore' });
  const kill = () => void server.kill('SIGKILL');
  process.once('exit', kill);
  await untilListening(server, `${subnet}.2`);
  const shape = (mbit: number | undefined, device: string) =>
    mbit === undefined
      ? ['qdisc', 'del', 'dev', device, 'root']
      : ['qdisc', 'replace', 'dev', device, 'root', 'tbf', 'rate', `${mbit}mbit`].concat(
          ...['burst', '64kb', 'latency', '200ms'],
        );
  return {
    url: `nats://${subnet}.2:${PORT}`,
    cut: () => inside('ip', 'link', 'set', far, 'down'),
    mend: () => inside('ip', 'link', 'set', far, 'up'),
    limit(mbit) {
      execFileSync('tc', shape(mbit, near), { stdio: 'pipe' });
      inside('tc', ...shape(mbit, far));
    },
    async close() {
      process.off('exit', kill);
      const ended = new Promise((resolve) => server.once('exit', resolve));
      kill();
      await ended;
      ip('netns', 'del', space); // Removes both ends of the link.
      rmSync(store, { recursive: true, force: true });
    },
  };
}

async function untilListening(server: ChildProcess, host: string): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`nats-server ended with code ${server.exitCode}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection(PORT, host);
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('close', () => {}).setTimeout(500, () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(30);
  }
}
