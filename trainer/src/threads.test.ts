import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { operationsSideBySide, shareThreads } from './threads.ts';

const shared = (batchSize: number, env: NodeJS.ProcessEnv) => {
  shareThreads(batchSize, env);
  return { sideBySide: env.TF_NUM_INTEROP_THREADS, each: env.TF_NUM_INTRAOP_THREADS };
};

describe('the threads of a trainer', () => {
  it('take one op each', () => {
    expect(shared(32, { OMP_NUM_THREADS: '6' })).toEqual({ sideBySide: '6', each: '1' });
  });

  it('share ops where a batch has fewer samples than there are threads', () => {
    expect(shared(4, { OMP_NUM_THREADS: '10' })).toEqual({ sideBySide: '4', each: '2' });
  });

  it('default to the number of cores or OMP_NUM_THREADS', () => {
    const cores = String(availableParallelism());
    expect(shared(1000, {}).sideBySide).toBe(cores);
    expect(shared(1000, { OMP_NUM_THREADS: 'many' }).sideBySide).toBe(cores);
  });

  it('keep the values that the user has set', () => {
    const env = { OMP_NUM_THREADS: '6', TF_NUM_INTEROP_THREADS: '2', TF_NUM_INTRAOP_THREADS: '3' };
    expect(shared(32, env)).toEqual({ sideBySide: '2', each: '3' });
    expect(operationsSideBySide(env)).toBe(2);
  });

  it('run one op at a time by default', () => {
    expect(operationsSideBySide({})).toBe(1);
    expect(operationsSideBySide({ TF_NUM_INTEROP_THREADS: 'all' })).toBe(1);
  });
});
