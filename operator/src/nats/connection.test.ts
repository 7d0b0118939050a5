import { expect, it } from 'vitest';
import { withoutPassword } from './connection.ts';

it.each([
  ['nats://me:secret@host:4222', 'nats://host:4222'],
  ['tls://token@host', 'tls://host'],
  ['nats://a:p@ss@host:1', 'nats://host:1'],
  ['nats://host:4222', 'nats://host:4222'],
  ['me:secret@host:4222', 'host:4222'],
])('the URL %s is told as %s', (url, told) => {
  expect(withoutPassword(url)).toBe(told);
});
