import { describe, expect, it } from 'vitest';
import { type Row, reliabilityPage } from './table.ts';

const row: Row = {
  name: 'kill -9 of NATS',
  happens: 'started again',
  whenFull: 'block',
  recovery: 2.4,
  again: 1600,
  dropped: 12_000,
  accuracy: 0.655,
};
const page = {
  undisturbed: {
    dropOldest: [
      { accuracy: 0.64, dropped: 100 },
      { accuracy: 0.66, dropped: 300 },
    ],
    block: [{ accuracy: 0.67, dropped: 0 }],
  },
  failures: [],
  pending: [],
  samples: 24_000,
  lasts: 5000,
  day: '2026-01-01',
  machine: 'a machine',
};

describe('the table of faults', () => {
  it('has each beside undisturbed trainings of the same policy', () => {
    expect(reliabilityPage({ ...page, rows: [row] })).toContain(
      '| kill -9 of NATS | started again | 2 | 1,600 | 12,000 | 0 | 65.5% | 67.0% |',
    );
    expect(reliabilityPage({ ...page, rows: [{ ...row, whenFull: 'dropOldest' }] })).toContain(
      '| 12,000 | 200 | 65.5% | 65.0% |',
    );
  });

  it('does not claim to know less than a second', () => {
    expect(reliabilityPage({ ...page, rows: [{ ...row, recovery: 0.3 }] })).toContain('| < 1 |');
  });

  it('tells which fault was not outlived', () => {
    const text = reliabilityPage({ ...page, rows: [], failures: ['kill -9 of NATS: in vain'] });
    expect(text).toContain('**Not outlived:**\n\n- kill -9 of NATS: in vain');
    expect(reliabilityPage({ ...page, rows: [row] })).not.toMatch(/Not (outlived|measured)/);
    expect(reliabilityPage({ ...page, rows: [], pending: ['a', 'b'] })).toContain('time:** a; b.');
  });
});
