import { expect, it } from 'vitest';
import { withoutSecrets } from './child-env.ts';

it.each([
  'AWS_SECRET_ACCESS_KEY',
  'AWS_ACCESS_KEY_ID',
  'AWS_SESSION_TOKEN',
  'GITHUB_TOKEN',
  'HF_TOKEN',
  'WANDB_API_KEY',
  'OPENAI_APIKEY',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'PGPASSWORD',
  'MYSQL_PASSWORD',
  'KUBECONFIG',
  'SSH_AUTH_SOCK',
  'NATS_CREDS',
  'npm_config__auth',
])('%s stays with gim', (name) => {
  expect(withoutSecrets({ [name]: 'x' })).toEqual({});
});

it('a URL with a password stays with gim, whatever its name is', () => {
  expect(
    withoutSecrets({ DB: 'postgres://me:secret@db/x', SITE: 'https://example.org/a' }),
  ).toEqual({
    SITE: 'https://example.org/a',
  });
});

it.each([
  'PATH',
  'PWD',
  'HOME',
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'OMP_NUM_THREADS',
  'TF_NUM_INTEROP_THREADS',
  'CUDA_VISIBLE_DEVICES',
  'XLA_FLAGS',
  'NVIDIA_VISIBLE_DEVICES',
  'GLIBC_TUNABLES',
  'LOG_LEVEL',
  'SLOWDOWN',
  'LANG',
  'TMPDIR',
  'AUTHOR',
  'KEYBOARD',
])('%s reaches the trainers', (name) => {
  expect(withoutSecrets({ [name]: 'x' })).toEqual({ [name]: 'x' });
});
