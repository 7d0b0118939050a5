import { CONSUMERS, type EndOptions, PRODUCERS, type Tally, type Way } from './ends.ts';

/**
 * One end of a transport in a separate process: its first message is the configuration, later ones
 * request its counts.
 */

export interface Start {
  role: 'producer' | 'consumer';
  way: Way;
  options: EndOptions;
}

export interface Reading extends Tally {
  /** Milliseconds since the epoch. */
  at: number;
  /** CPU seconds. */
  cpu: number;
}

const tally: Tally = { bytes: 0, repeated: 0, dropped: 0 };

process.once('message', ({ role, way, options }: Start) => {
  const ends = role === 'producer' ? PRODUCERS : CONSUMERS;
  process.on('message', () => process.send?.(reading()));
  process.on('disconnect', () => process.exit());
  void ends[way](options, tally);
});

function reading(): Reading {
  const { user, system } = process.cpuUsage();
  return { ...tally, at: performance.timeOrigin + performance.now(), cpu: (user + system) / 1e6 };
}
