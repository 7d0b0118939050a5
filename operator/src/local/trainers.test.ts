import { expect, it } from 'vitest';
import { trainerEnv } from './trainers.ts';

it('gives a trainer its threads', () => {
  expect(trainerEnv({}, 3).OMP_NUM_THREADS).toBe('3');
});

it('leaves alone what the user has set', () => {
  const env = trainerEnv({ TF_NUM_INTRAOP_THREADS: '4', PATH: '/bin' }, 5);
  expect(env).toMatchObject({ TF_NUM_INTRAOP_THREADS: '4', PATH: '/bin', OMP_NUM_THREADS: '5' });
  expect(trainerEnv({ OMP_NUM_THREADS: '4' }, 5).OMP_NUM_THREADS).toBe('4');
});
