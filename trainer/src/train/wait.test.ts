import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { waitFor } from './wait.ts';

const never = (signal: AbortSignal) => sleep(60_000, 'never', { signal });
const stop = () => new AbortController();
const quiet = { tick: () => false, every: 1000 };

it('returns the result of the work', async () => {
  expect(await waitFor(async () => 7, { stop: stop().signal, ...quiet })).toBe(7);
});

it('returns null after a stop', async () => {
  const controller = stop();
  const waited = waitFor(never, { stop: controller.signal, ...quiet });
  controller.abort();
  expect(await waited).toBeNull();
});

it('returns null once a tick returns true', async () => {
  let ticks = 0;
  const tick = () => {
    ticks += 1;
    return ticks === 3;
  };
  expect(await waitFor(never, { stop: stop().signal, tick, every: 1 })).toBeNull();
  expect(ticks).toBe(3);
});

it('throws an error of the work', async () => {
  const fails = () => Promise.reject(new Error('no edge'));
  await expect(waitFor(fails, { stop: stop().signal, ...quiet })).rejects.toThrow('no edge');
});
