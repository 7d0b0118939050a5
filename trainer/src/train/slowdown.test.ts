import { describe, expect, it } from 'vitest';
import { ConfigurationError } from './errors.ts';
import { Slowdown } from './slowdown.ts';

const { signal } = new AbortController();

/** Milliseconds that work of 20 ms is followed by. */
async function waitOf(module: string, text: string | undefined, stop = signal): Promise<number> {
  const slowdown = new Slowdown(module, text, stop);
  const start = performance.now();
  await slowdown.after(20);
  return performance.now() - start;
}

describe('a slowed module', () => {
  it('waits for what its work lacks to so many times its time', async () => {
    expect(await waitOf('two', 'one:2,two:4')).toBeGreaterThan(50);
  });

  it('waits for the rest alone, not for what the work has taken already', async () => {
    const start = performance.now();
    await new Slowdown('two', 'two:1.001', signal).after(60_000);
    expect(performance.now() - start).toBeLessThan(30_000);
  });

  it('leaves the others as they are', async () => {
    const slowdown = new Slowdown('three', 'one:2,two:400000', signal);
    await slowdown.after(1000);
    await new Slowdown('three', undefined, signal).after(1000);
  });

  it('waits no longer when it is stopped', async () => {
    const stop = new AbortController();
    const waited = new Slowdown('two', 'two:400000', stop.signal).after(1000);
    stop.abort();
    await waited;
  });

  it('refuses what is no factor', () => {
    for (const text of ['two:', 'two:fast', 'two:0.5', 'two:Infinity']) {
      expect(() => new Slowdown('two', text, signal), text).toThrow(ConfigurationError);
    }
  });
});
