import { describe, expect, it } from 'vitest';
import { ConfigurationError } from './errors.ts';
import { Slowdown } from './slowdown.ts';

const { signal } = new AbortController();

/** Returns the milliseconds of waiting after work of 20 ms. */
async function waitOf(module: string, text: string | undefined, stop = signal): Promise<number> {
  const slowdown = new Slowdown(module, text, stop);
  const start = performance.now();
  await slowdown.after(20);
  return performance.now() - start;
}

describe('a slowed module', () => {
  it('waits until its work has taken factor times its time', async () => {
    expect(await waitOf('two', 'one:2,two:4')).toBeGreaterThan(50);
  });

  it('subtracts the time that the work has taken', async () => {
    const start = performance.now();
    await new Slowdown('two', 'two:1.001', signal).after(60_000);
    expect(performance.now() - start).toBeLessThan(30_000);
  });

  it('does not slow down other modules', async () => {
    const slowdown = new Slowdown('three', 'one:2,two:400000', signal);
    await slowdown.after(1000);
    await new Slowdown('three', undefined, signal).after(1000);
  });

  it('stops waiting after a stop', async () => {
    const stop = new AbortController();
    const waited = new Slowdown('two', 'two:400000', stop.signal).after(1000);
    stop.abort();
    await waited;
  });

  it('refuses an invalid factor', () => {
    for (const text of ['two:', 'two:fast', 'two:0.5', 'two:Infinity']) {
      expect(() => new Slowdown('two', text, signal), text).toThrow(ConfigurationError);
    }
  });
});
