import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { NatsKeyError, openSigner } from '../nats/signer.ts';
import { writeAuth } from './files.ts';
import { makeAuth } from './keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'gim-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('no two sets of keys have anything secret in common, and auth.conf holds no seed', async () => {
  const [one, two] = [await makeAuth(), await makeAuth()];
  expect(one['signing.seed']).not.toBe(two['signing.seed']);
  expect(one['operator.creds']).not.toBe(two['operator.creds']);
  expect(one['auth.conf']).not.toMatch(/\bS[OAU][A-Z2-7]{40}/);
});

it('files are for their owner’s eyes, and are never overwritten', async () => {
  const out = join(folder, 'out');
  writeAuth(out, await makeAuth());
  expect(readdirSync(out).toSorted()).toEqual(['auth.conf', 'operator.creds', 'signing.seed']);
  for (const name of readdirSync(out)) {
    expect(statSync(join(out, name)).mode & 0o777).toBe(0o600);
  }
  const again = await makeAuth();
  expect(() => writeAuth(out, again)).toThrow(/EEXIST/);
});

it('files that are something else are named, and their content is not told', async () => {
  const auth = await makeAuth();
  const creds = { file: '/x/operator.creds', content: auth['operator.creds'] };
  const seed = { file: '/x/signing.seed', content: auth['signing.seed'] };
  const wrong = [
    openSigner({ ...creds, content: 'hidden' }, seed),
    openSigner(creds, { ...seed, content: 'hidden' }),
    openSigner(creds, { ...seed, content: 'SAhidden' }),
  ];
  const names = ['operator.creds', 'signing.seed', 'signing.seed'];
  for (const [i, promise] of wrong.entries()) {
    const error: Error = await promise.then(
      () => new Error('none'),
      (thrown) => thrown,
    );
    expect(error).toBeInstanceOf(NatsKeyError);
    expect(error.message).toContain(`/x/${names[i]} holds no`);
    expect(error.message).not.toContain('hidden');
  }
});
