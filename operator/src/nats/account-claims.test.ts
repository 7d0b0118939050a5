import { expect, it } from 'vitest';
import { makeAuth } from '../nats-keys/keys.ts';
import { decodeClaims, encodeClaims } from './account-claims.ts';
import { DerivedKeys } from './account-keys.ts';

const limits = {
  memoryBytes: 100,
  diskBytes: 50,
  streams: 3,
  consumers: 4,
  connections: 5,
  subscriptions: 6,
};

it('the JWT of an account holds every limit, the grant and the revocations', async () => {
  const content = (await makeAuth())['operator.seed'];
  const keys = new DerivedKeys({ file: 'operator.seed', content });
  const grant = { memoryBytes: 10, diskBytes: 20, revocations: { UUSER: 7 } };
  const jwt = await encodeClaims(keys, 'team', 'us', limits, grant);
  expect(decodeClaims(jwt)).toEqual({ namespace: 'team', owner: 'us', ...grant });
  const payload = Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString();
  expect(JSON.parse(payload).nats.limits).toMatchObject({
    mem_storage: 10,
    disk_storage: 20,
    streams: 3,
    consumer: 4,
    conn: 5,
    subs: 6,
    imports: 0,
    exports: 0,
    leaf: 0,
    disallow_bearer: true,
  });
});
