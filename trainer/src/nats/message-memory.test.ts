import { expect, test } from 'vitest';
import { giveBack, takeMemory } from './message-memory.ts';

const SIZE = 1_000_000;
const MANY = 100; // more than are kept

test('what was given back is used for the next message of nearly the same size', () => {
  const first = takeMemory(SIZE).fill(7);
  giveBack(first.subarray(10, 20));
  expect(takeMemory(SIZE - 100)[0]).toBe(7);
});

test('nobody can read the next message in the place of one that was given back', () => {
  const message = takeMemory(SIZE).fill(1);
  const part = message.subarray(100, 200);
  giveBack(message);
  const next = takeMemory(SIZE).fill(2);
  expect([message.length, part.length, next.length]).toEqual([0, 0, SIZE]);
});

test('memory is its taker’s alone until it is given back, and once is enough', () => {
  const message = takeMemory(SIZE);
  giveBack(message);
  giveBack(message);
  const [one, other] = [takeMemory(SIZE), takeMemory(SIZE)];
  expect(one.buffer).not.toBe(other.buffer);
});

test('memory that came from elsewhere stays as it is', () => {
  const foreign = new Uint8Array(SIZE).fill(3);
  giveBack(foreign);
  expect(foreign[SIZE - 1]).toBe(3);
});

test('not more is kept than messages to come will need', () => {
  const before = process.memoryUsage().arrayBuffers;
  const messages = Array.from({ length: MANY }, () => takeMemory(SIZE));
  for (const message of messages) giveBack(message);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan((MANY * SIZE) / 1.2);
});
