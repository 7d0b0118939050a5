import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { trainerEnv } from './trainer-process.ts';

describe('what a trainer runs with', () => {
  it('is as many threads as it has a share of, of all cores without one', () => {
    expect(trainerEnv({}, { threads: 3, cores: null }).OMP_NUM_THREADS).toBe('3');
    expect(trainerEnv({}).OMP_NUM_THREADS).toBe(String(availableParallelism()));
  });

  it('is left alone where the user has set it', () => {
    const env = trainerEnv(
      { TF_CPP_MIN_LOG_LEVEL: '0', PATH: '/bin' },
      { threads: 5, cores: null },
    );
    expect(env).toMatchObject({ TF_CPP_MIN_LOG_LEVEL: '0', PATH: '/bin', OMP_NUM_THREADS: '5' });
  });

  it('is no core where the user says how many threads it has', () => {
    const share = { threads: 1, cores: [0] };
    for (const name of ['OMP_NUM_THREADS', 'TF_NUM_INTRAOP_THREADS']) {
      const env = trainerEnv({ [name]: '4' }, share);
      expect(env).toMatchObject({ [name]: '4' });
      expect(env.COMPUTE_CPU).toBeUndefined();
    }
    expect(trainerEnv({}, { threads: 1, cores: [0] }, 1).COMPUTE_CPU).toBeUndefined();
  });
});
