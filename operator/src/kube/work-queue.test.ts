import { expect, it } from 'vitest';
import { settle, TestClock } from './testing/clock.ts';
import { TerminalError, WorkQueue } from './work-queue.ts';

/** Opens a queue whose handler records keys and waits for `finish`. */
function open({ concurrency = 1, backoff = { firstMs: 5, maxMs: 1_000_000 } } = {}) {
  const clock = new TestClock();
  const started: string[] = [];
  const open = new Map<string, PromiseWithResolvers<{ afterSeconds: number } | undefined>>();
  const retries: (number | undefined)[] = [];
  const queue = new WorkQueue({
    clock,
    concurrency,
    backoff,
    handle(key, signal) {
      started.push(key);
      const work = Promise.withResolvers<{ afterSeconds: number } | undefined>();
      signal.addEventListener('abort', () => work.reject(new Error('gave up')));
      open.set(key, work);
      return work.promise;
    },
    onError: (_key, _error, retryInSeconds) => retries.push(retryInSeconds),
  });
  return {
    clock,
    queue,
    started,
    retries,
    async succeed(key: string, result?: { afterSeconds: number }) {
      open.get(key)?.resolve(result);
      await settle();
    },
    async fail(key: string, error: unknown = new Error('no')) {
      open.get(key)?.reject(error);
      await settle();
    },
  };
}

it('runs a key once however often it was added', async () => {
  const { queue, started, succeed } = open();
  for (const key of ['a', 'b', 'a', 'b', 'a']) queue.add(key);
  expect(queue.depth).toBe(2);
  queue.start();
  await settle();
  await succeed('a');
  await succeed('b');
  expect(started).toEqual(['a', 'b']);
  expect(queue.depth).toBe(0);
});

it('never runs a key twice at once, and once more if it was added while it ran', async () => {
  const { queue, started, succeed } = open({ concurrency: 4 });
  queue.start();
  queue.add('a');
  await settle();
  queue.add('a');
  queue.add('a');
  await settle();
  expect(started).toEqual(['a']);
  await succeed('a');
  expect(started).toEqual(['a', 'a']);
  await succeed('a');
  expect(started).toEqual(['a', 'a']);
});

it('runs as many keys at once as it may', async () => {
  const { queue, started, succeed } = open({ concurrency: 2 });
  queue.start();
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await settle();
  expect(started).toEqual(['a', 'b']);
  await succeed('b');
  expect(started).toEqual(['a', 'b', 'c']);
});

it('retries a key that fails ever more slowly, up to a bound, and from the start after a success', async () => {
  const { queue, clock, started, retries, fail, succeed } = open({
    backoff: { firstMs: 5, maxMs: 40 },
  });
  queue.start();
  queue.add('a');
  await settle();
  for (const delay of [5, 10, 20, 40, 40]) {
    const before = started.length;
    await fail('a');
    clock.advance(delay - 1);
    await settle();
    expect(started).toHaveLength(before);
    clock.advance(1);
    await settle();
    expect(started).toHaveLength(before + 1);
  }
  expect(retries).toEqual([0.005, 0.01, 0.02, 0.04, 0.04]);
  expect(queue.failures('a')).toBe(5);
  await succeed('a');
  expect(queue.failures('a')).toBe(0);
});

it('begins with 5 ms and ends with 1000 s', async () => {
  const { queue, clock, retries, fail } = open();
  queue.start();
  queue.add('a');
  for (let i = 0; i < 20; i++) {
    await settle();
    await fail('a');
    clock.advance(1_000_000);
  }
  expect(retries[0]).toBe(0.005);
  expect(retries.at(-1)).toBe(1000);
});

it('does not retry an error that no retry mends', async () => {
  const { queue, clock, started, retries, fail } = open();
  queue.start();
  queue.add('a');
  await settle();
  await fail('a', new TerminalError('wrong for good'));
  clock.advance(10_000_000);
  await settle();
  expect(started).toEqual(['a']);
  expect(retries).toEqual([undefined]);
  queue.add('a');
  await settle();
  expect(started).toEqual(['a', 'a']);
});

it('runs a key again after the time that it asked for', async () => {
  const { queue, clock, started, succeed } = open();
  queue.start();
  queue.add('a');
  await settle();
  await succeed('a', { afterSeconds: 60 });
  clock.advance(59_999);
  await settle();
  expect(started).toHaveLength(1);
  clock.advance(1);
  await settle();
  expect(started).toHaveLength(2);
});

it('keeps the earliest of several times', async () => {
  const { queue, clock, started } = open();
  queue.start();
  queue.addAfter('a', 1000);
  queue.addAfter('a', 500);
  queue.addAfter('a', 2000);
  clock.advance(499);
  await settle();
  expect(started).toEqual([]);
  clock.advance(1);
  await settle();
  expect(started).toEqual(['a']);
  expect(clock.pending).toBe(0);
});

it('stops: takes up nothing more and waits for what runs', async () => {
  const { queue, clock, started, succeed } = open();
  queue.start();
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 10);
  await settle();
  let isStopped = false;
  const stopped = queue.stop(1000).then(() => {
    isStopped = true;
  });
  clock.advance(100);
  queue.add('d');
  await settle();
  expect(isStopped).toBe(false);
  await succeed('a');
  await stopped;
  expect(started).toEqual(['a']);
  expect(clock.pending).toBe(0);
});

it('tells a handler that does not end in time to give up', async () => {
  const { queue, clock } = open();
  queue.start();
  queue.add('a');
  await settle();
  const stopped = queue.stop(1000);
  clock.advance(1000);
  await stopped;
  expect(clock.pending).toBe(0);
});
