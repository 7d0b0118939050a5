import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromSeed } from '@nats-io/nkeys';
import { afterAll, expect, it } from 'vitest';
import { DerivedKeys, NatsKeyError } from '../nats/account-keys.ts';
import { openSigner } from '../nats/shared-account.ts';
import { writeAuth } from './files.ts';
import { makeAuth } from './keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'gim-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('two sets of keys have no secret in common, and auth.conf holds no seed', async () => {
  const [one, two] = [await makeAuth(), await makeAuth()];
  expect(one['operator.seed']).not.toBe(two['operator.seed']);
  expect(one['system.creds']).not.toBe(two['system.creds']);
  expect(one['auth.conf']).not.toMatch(/\bS[OAU][A-Z2-7]{40}/);
});

it('files are readable by their owner alone, and are never overwritten', async () => {
  const out = join(folder, 'out');
  writeAuth(out, await makeAuth());
  expect(readdirSync(out).toSorted()).toEqual(['auth.conf', 'operator.seed', 'system.creds']);
  for (const name of readdirSync(out)) {
    expect(statSync(join(out, name)).mode & 0o777).toBe(0o600);
  }
  const again = await makeAuth();
  expect(() => writeAuth(out, again)).toThrow(/EEXIST/);
});

it('malformed files are named without their content', async () => {
  const auth = await makeAuth();
  const creds = { file: '/x/operator.creds', content: auth['system.creds'] };
  const seed = { file: '/x/signing.seed', content: 'hidden' };
  const wrong: [string, () => unknown][] = [
    ['operator.creds', () => openSigner({ ...creds, content: 'hidden' }, seed)],
    ['signing.seed', () => openSigner(creds, seed)],
    ['signing.seed', () => openSigner(creds, { ...seed, content: 'SAhidden' })],
    ['operator.seed', async () => new DerivedKeys({ file: '/x/operator.seed', content: 'hidden' })],
    ['operator.seed', async () => new DerivedKeys({ ...creds, file: '/x/operator.seed' })],
  ];
  for (const [name, open] of wrong) {
    const error: Error = await Promise.resolve(open()).then(
      () => new Error('none'),
      (thrown: Error) => thrown,
    );
    expect(error).toBeInstanceOf(NatsKeyError);
    expect(error.message).toContain(`/x/${name} holds no`);
    expect(error.message).not.toContain('hidden');
  }
});

it('each namespace, run and generation has another key, the same after a restart', async () => {
  const content = (await makeAuth())['operator.seed'];
  const [keys, again] = [0, 1].map(() => new DerivedKeys({ file: 'f', content }));
  const all = (from: DerivedKeys | undefined) =>
    [
      from?.account('a'),
      from?.account('b'),
      from?.user('u', 0),
      from?.user('u', 1),
      from?.user('v', 0),
    ].map((key) => key?.getPublicKey());
  expect(new Set(all(keys)).size).toBe(5);
  expect(all(again)).toEqual(all(keys));
  const other = new DerivedKeys({ file: 'f', content: (await makeAuth())['operator.seed'] });
  expect(all(other).filter((key) => all(keys).includes(key))).toEqual([]);
});

it('a derived key is the key that the NATS library makes of its seed', async () => {
  const content = (await makeAuth())['operator.seed'];
  const keys = new DerivedKeys({ file: 'f', content });
  const data = new TextEncoder().encode('text');
  for (const key of [keys.operator, keys.account('a'), keys.user('u', 0)]) {
    const theirs = fromSeed(key.getSeed());
    expect(theirs.getPublicKey()).toBe(key.getPublicKey());
    expect(theirs.getPrivateKey()).toEqual(key.getPrivateKey());
    expect(theirs.verify(data, key.sign(data))).toBe(true);
    expect(key.verify(data, theirs.sign(data))).toBe(true);
    expect(key.verify(data, theirs.sign(new Uint8Array(1)))).toBe(false);
  }
});
