import { expect, test } from 'vitest';
import { giveBack, takeMemory } from './message-memory.ts';

const SIZE = 1_000_000;
const MANY = 100; // more than the pool keeps

test('memory that was given back is reused for the next message of nearly the same size', () => {
  const first = takeMemory(SIZE).fill(7);
  giveBack(first.subarray(10, 20));
  expect(takeMemory(SIZE - 100)[0]).toBe(7);
});

test('no view of a message that was given back can read the next one', () => {
  const message = takeMemory(SIZE).fill(1);
  const part = message.subarray(100, 200);
  giveBack(message);
  const next = takeMemory(SIZE).fill(2);
  expect([message.length, part.length, next.length]).toEqual([0, 0, SIZE]);
});

test('memory is not shared until it is given back, and is given back only once', () => {
  const message = takeMemory(SIZE);
  giveBack(message);
  giveBack(message);
  const [one, other] = [takeMemory(SIZE), takeMemory(SIZE)];
  expect(one.buffer).not.toBe(other.buffer);
});

test('memory from elsewhere is not changed', () => {
  const foreign = new Uint8Array(SIZE).fill(3);
  giveBack(foreign);
  expect(foreign[SIZE - 1]).toBe(3);
});

test('the pool keeps a limited number of bytes', () => {
  const before = process.memoryUsage().arrayBuffers;
  const messages = Array.from({ length: MANY }, () => takeMemory(SIZE));
  for (const message of messages) giveBack(message);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan((MANY * SIZE) / 1.2);
});
