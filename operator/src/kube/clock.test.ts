import { expect, it } from 'vitest';
import { timeoutSignal } from './clock.ts';

it.each([0, -1, 0.000_27, 0.990_27, 1 / 3, 1e12])('makes a signal of %d seconds', (seconds) => {
  expect(timeoutSignal(seconds)).toBeInstanceOf(AbortSignal);
});

it('aborts when its time is over, also a fraction of a millisecond', async () => {
  const signal = timeoutSignal(0.010_27);
  expect(signal.aborted).toBe(false);
  await expect.poll(() => signal.aborted).toBe(true);
});
