import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { faultsPart, type Row, withFaults } from './table.ts';

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
  it('shows each beside undisturbed trainings of the same policy', () => {
    expect(faultsPart({ ...page, rows: [row] })).toContain(
      '| kill -9 of NATS | started again | 2 | 1,600 | 12,000 | 0 | 65.5% | 67.0% |',
    );
    expect(faultsPart({ ...page, rows: [{ ...row, whenFull: 'dropOldest' }] })).toContain(
      '| 12,000 | 200 | 65.5% | 65.0% |',
    );
  });

  it('shows recoveries under a second as < 1', () => {
    expect(faultsPart({ ...page, rows: [{ ...row, recovery: 0.3 }] })).toContain('| < 1 |');
  });

  it('names the faults that a training did not survive', () => {
    const text = faultsPart({ ...page, rows: [], failures: ['kill -9 of NATS: in vain'] });
    expect(text).toContain('**Not survived:**\n\n- kill -9 of NATS: in vain');
    expect(faultsPart({ ...page, rows: [row] })).not.toMatch(/Not (outlived|measured)/);
    expect(faultsPart({ ...page, rows: [], pending: ['a', 'b'] })).toContain('time:** a; b.');
  });

  it('replaces the measured part of docs/reliability.md alone', () => {
    const path = resolve(import.meta.dirname, '../../../docs/reliability.md');
    const committed = readFileSync(path, 'utf8');
    const measured = { ...page, rows: [row] };
    const once = withFaults(committed, measured);
    expect(withFaults(once, measured)).toBe(once);
    expect(once).toContain(faultsPart(measured));
    const around = (text: string) => [
      text.slice(0, text.indexOf('<!-- written by')),
      text.slice(text.indexOf('<!-- end of')),
    ];
    expect(around(once)).toEqual(around(committed));
    expect(around(once).join('').length).toBeGreaterThan(1000);
  });

  it('needs the markers', () => {
    expect(() => withFaults('# A page', { ...page, rows: [row] })).toThrow('lacks the lines');
  });
});
