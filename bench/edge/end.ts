import { CONSUMERS, type EndOptions, PRODUCERS, type Tally, type Way } from './ends.ts';

/** One end of a way, in a process of its own: told all by its first message, then asked for its tally. */

export interface Start {
  role: 'producer' | 'consumer';
  way: Way;
  options: EndOptions;
}

export interface Reading extends Tally {
  /** Milliseconds since the epoch. */
  at: number;
  /** Seconds of processors. */
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
