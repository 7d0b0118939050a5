import { expect, it } from 'vitest';
import { finishAll } from './finish-all.ts';

it('carries out every step, newest first, whichever fails', async () => {
  const done: string[] = [];
  const work = finishAll(async (atEnd) => {
    atEnd(() => done.push('server stopped'));
    atEnd(async () => {
      throw new Error('the disk is full');
    });
    atEnd(() => done.push('connection closed'));
    return 'summary';
  });
  await expect(work).rejects.toThrow('the disk is full');
  expect(done).toEqual(['connection closed', 'server stopped']);
});

it('rejects with what went wrong first, and resolves with the result of the work', async () => {
  const failed = finishAll(async (atEnd) => {
    atEnd(() => {
      throw new Error('the disk is full');
    });
    throw new Error('a module diverged');
  });
  await expect(failed).rejects.toThrow('a module diverged');
  expect(await finishAll(async () => 'summary')).toBe('summary');
});
