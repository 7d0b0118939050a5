import { expect, it } from 'vitest';
import { checkNatsUrl, NatsUrlError } from './nats-url.ts';

it.each(['nats://host:4222', 'tls://host', 'host:4222', '127.0.0.1', 'nats://[::1]:4222'])(
  'takes %s',
  (url) => {
    expect(checkNatsUrl(url)).toBe(url);
  },
);

it.each([
  'nats://me:s3cret@host:4222',
  'tls://s3cret@host',
  'nats://a:s3@cret@host:1',
  'me:s3cret@host:4222',
  'nats://me:s3cret@host:99999',
  'nats://me:s3cret@bad host',
])('refuses %s without quoting the password', (url) => {
  const check = () => checkNatsUrl(url);
  expect(check).toThrow(NatsUrlError);
  expect(check).toThrow(/credentials file/);
  expect(check).not.toThrow(/s3|cret/);
});

it('quotes an invalid URL', () => {
  expect(() => checkNatsUrl('nats://host:99999')).toThrow(
    'the NATS URL nats://host:99999 is invalid; nats://HOST:PORT would be right',
  );
});
