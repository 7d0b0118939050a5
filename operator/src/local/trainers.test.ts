import { expect, it } from 'vitest';
import { trainerEnv } from './trainers.ts';

it('shares the cores out between the trainers, at least one to each', () => {
  expect(trainerEnv({}, 16, 3).OMP_NUM_THREADS).toBe('5');
  expect(trainerEnv({}, 2, 3).OMP_NUM_THREADS).toBe('1');
});

it('leaves alone what the user has set', () => {
  const env = trainerEnv({ TF_NUM_INTRAOP_THREADS: '4', PATH: '/bin' }, 16, 3);
  expect(env).toMatchObject({ TF_NUM_INTRAOP_THREADS: '4', PATH: '/bin', OMP_NUM_THREADS: '5' });
  expect(trainerEnv({ OMP_NUM_THREADS: '4' }, 16, 3).OMP_NUM_THREADS).toBe('4');
});
