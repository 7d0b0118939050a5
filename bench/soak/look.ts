import { readdirSync, readFileSync } from 'node:fs';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { natsOptions, natsPid, trainerPids } from '../../test/support/gim.ts';
import type { Sample } from './verdict.ts';

/** Samples of a run from /proc and the NATS server. */

/** Returns one sample of each running process. */
export function sampleProcesses(out: string, runner: number, at: number): Sample[] {
  const nats = natsPid(out);
  const pids: [string, number][] = [
    ['runner', runner],
    ...(nats === undefined ? [] : [['nats', nats] as [string, number]]),
    ...trainerPids(out),
  ];
  return pids.flatMap(([role, pid]) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
      const fds = readdirSync(`/proc/${pid}/fd`).length;
      return Number.isNaN(kib) ? [] : [{ at, role, pid, rssMiB: kib / 1024, fds }];
    } catch {
      return []; // The process has ended meanwhile.
    }
  });
}

/** Returns the number of live processes started by the runner. */
export function childrenOf(pid: number): number {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
      .length;
  } catch {
    return 0; // The process has ended meanwhile.
  }
}

export interface Streams {
  streams: number;
  consumers: number;
}

/** Undefined while the server is down. */
export async function lookAtStreams(url: string, out: string): Promise<Streams | undefined> {
  try {
    const connection = await connect({
      ...natsOptions(url, out),
      reconnect: false,
      timeout: 2000,
    });
    const manager = await jetstreamManager(connection, { timeout: 2000 });
    const { streams, consumers } = await manager.getAccountInfo();
    await connection.close();
    return { streams, consumers };
  } catch {
    return undefined;
  }
}
