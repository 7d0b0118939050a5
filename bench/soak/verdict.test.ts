import { describe, expect, it } from 'vitest';
import { complaintsOf, livesOf, type Sample } from './verdict.ts';

/** One sample every 5 s for 10 minutes. */
const process = (
  pid: number,
  rss: (minutes: number) => number,
  fds: (minutes: number) => number = () => 20,
): Sample[] =>
  Array.from({ length: 120 }, (_, i) => ({
    at: 5 * i,
    role: 'two',
    pid,
    rssMiB: rss(i / 12) + (i % 7),
    fds: fds(i / 12),
  }));

describe('the verdict on a soak', () => {
  it('finds a growing process and its rate', () => {
    const [complaint] = complaintsOf(livesOf(process(1, (minutes) => 300 + 10 * minutes)));
    expect(complaint).toMatch(
      /^two \(1\) grew from 3\d\d to 3\d\d MiB in \d+ s, by (9\.\d|10\.\d) MiB/,
    );
  });

  it('does not report warm-up, noise or a single step as growth', () => {
    const samples = [
      ...process(1, (minutes) => (minutes < 1 ? 200 * minutes : 400)),
      ...process(2, (minutes) => 300 + 20 * Math.sin(17 * minutes)),
      ...process(3, (minutes) => (minutes < 5 ? 300 : 315)),
    ];
    expect(complaintsOf(livesOf(samples))).toEqual([]);
  });

  it('finds files and sockets that are not closed', () => {
    const samples = process(
      1,
      () => 300,
      (minutes) => 20 + Math.floor(3 * minutes),
    );
    expect(complaintsOf(livesOf(samples))).toEqual([
      expect.stringMatching(/had 2\d files and sockets open, and 4\d at the end/),
    ]);
  });

  it('ignores short-lived processes', () => {
    expect(livesOf(process(1, (minutes) => 300 + 90 * minutes).slice(0, 25))).toEqual([]);
  });
});
