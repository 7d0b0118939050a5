import { describe, expect, it } from 'vitest';
import { FAULTS } from './faults.ts';
import { type Outcome, trainThrough } from './measure.ts';

/**
 * Tests the faults briefly: several in one training each, which must complete. `make faults`
 * measures them one by one.
 */

/**
 * Milliseconds, many times the longest case on two busy cores: only a hanging training exceeds it.
 */
const HANGS = 900_000;

type Name = keyof typeof FAULTS;

const through = (names: readonly Name[], samples: number): Promise<Outcome> =>
  trainThrough(
    names.map((name) => FAULTS[name]),
    { seed: 7, samples, evaluate: false, lasts: 1000 },
  );

/** `samples` of each module: enough that the faults are over before the training. */
const CASES: { what: string; names: readonly Name[]; samples?: number }[] = [
  { what: 'a trainer that is killed, and one that hangs', names: ['killMiddle', 'stuckTrainer'] },
  {
    what: 'NATS out of disk, killed, and out of memory',
    names: ['natsDiskFull', 'killNats', 'natsOutOfMemory'],
  },
  { what: 'poison', names: ['poisonEdge'], samples: 50_000 },
  { what: 'a killed trainer where buffers block', names: ['killMiddleBlock'] },
  { what: 'a full disk and clocks that jump', names: ['checkpointDiskFull', 'clockJump'] },
  { what: 'a link that is slow, then cut', names: ['slowLink', 'cutLink'] },
];

describe('a training on one machine', () => {
  it.each(CASES)(
    'survives $what',
    async ({ names, samples = 10_000 }) => {
      const { modules } = (await through(names, samples)).summary;
      const trained = modules.map(({ samplesTrained }) => samplesTrained);
      expect(trained).toEqual([samples, samples, samples]);
      for (const { lossFirst, lossLast } of modules)
        expect(lossLast).toBeLessThan(lossFirst as number);
    },
    HANGS,
  );
});
