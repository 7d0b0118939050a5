import { describe, expect, it } from 'vitest';
import { FrameMemory } from './frame-memory.ts';

describe('the memory of messages', () => {
  it('is never shared by two messages on their way', () => {
    const memory = new FrameMemory();
    const [a, b] = [memory.take(100), memory.take(200)];
    expect([a.length, b.length]).toEqual([100, 200]);
    expect(a.buffer).not.toBe(b.buffer);
  });

  it('is used again once it is given back', () => {
    const memory = new FrameMemory();
    const first = memory.take(100);
    memory.give(first);
    const [second, third] = [memory.take(1000), memory.take(1)];
    expect(second.buffer).toBe(first.buffer);
    expect(second.length).toBe(1000);
    expect(third.buffer).not.toBe(first.buffer);
  });
});
