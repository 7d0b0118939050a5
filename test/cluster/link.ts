import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import type { Processes } from './processes.ts';

/** Conditions of a node's link, in both directions; an empty object restores it. */
export interface LinkState {
  /** Drops all packets silently. */
  cut?: boolean;
  /** Additional delay in each direction. */
  delayMs?: number;
  /**
   * Maximum rate in each direction, Mbit/s; packets that would wait longer than 0.2 s are dropped.
   */
  rateMbit?: number;
}

/** One end of a link, with the programs that run there. */
export interface LinkEnd {
  namespace: Namespace;
  processes: Processes;
  /** Network device of the link. */
  device: string;
}

const PROGRAM = 'slow-link';

/** Changes one direction of a link: the packets that leave at this end. */
export async function setLinkEnd(end: LinkEnd, programs: string, state: LinkState): Promise<void> {
  const { namespace, processes, device } = end;
  const name = `${PROGRAM}-${device}`;
  const tap = `slow-${device}`;
  await namespace.shell(`tc qdisc del dev ${device} clsact 2>/dev/null || true`);
  await processes.kill(name);
  if (!state.cut && !state.delayMs && !state.rateMbit) return;
  const command = [
    join(programs, PROGRAM),
    `-name=${tap}`,
    `-device=${device}`,
    `-cut=${state.cut ?? false}`,
    `-delay=${state.delayMs ?? 0}ms`,
    `-rate=${state.rateMbit ?? 0}`,
  ];
  processes.start(name, namespace.enter(command));
  await processes.until(name, 'device', () =>
    namespace.shell(`
      ip link set ${tap} up
      tc qdisc add dev ${device} clsact
      tc filter add dev ${device} egress protocol all u32 match u32 0 0 action mirred egress redirect dev ${tap}`),
  );
}
