import { expect, test } from 'vitest';
import { giveBack } from './message-memory.ts';
import { WholeMessages } from './whole-messages.ts';

const MEGABYTE = 1 << 20;

test('messages are whole and unchanged for any size of reads', () => {
  const sent = Buffer.concat([
    Buffer.from('INFO {"max_payload":1048576}\r\nPONG\r\n'),
    message('a.b', Buffer.from('PING\r\nMSG x 1 5\r\n')), // looks like operations, but is payload
    message('a.b', Buffer.alloc(0)),
    withHeaders('a.b', 'NATS/1.0\r\nNats-Msg-Id: 7\r\n\r\n', Buffer.alloc(300_000, '\n')),
    Buffer.from('+OK\r\nPING\r\n'),
    message('a.b', Buffer.alloc(MEGABYTE, 'M')),
  ]);
  for (const most of [1, 7, 1000, 65536, 700_000]) {
    const pieces = pass(sent, most);
    expect(Buffer.concat(pieces).equals(sent)).toBe(true);
    for (const piece of pieces) {
      expect(piece.subarray(-2).toString()).toBe('\r\n');
      expect(piece.toString('latin1', 0, 4)).toMatch(/^(INFO|PONG|PING|\+OK|MSG |HMSG)/);
    }
  }
});

test('a message from many reads is returned as one', () => {
  const sent = message('a', Buffer.alloc(MEGABYTE, 'x'));
  expect(pass(sent, 1000)).toHaveLength(1);
});

test('memory that was passed on keeps its bytes', () => {
  const messages = Array.from({ length: 40 }, (_, i) =>
    message('a', Buffer.alloc(i % 3 === 0 ? 1000 : 400_000, i)),
  );
  const pieces = pass(Buffer.concat(messages), 300_000);
  expect(Buffer.concat(pieces).equals(Buffer.concat(messages))).toBe(true);
});

test('a large message reuses memory that was given back', () => {
  const [first] = pass(message('a', Buffer.alloc(MEGABYTE, 'x')), 30_000) as [Buffer];
  giveBack(first);
  const messages = new WholeMessages();
  const start = message('a', Buffer.alloc(MEGABYTE, 'y')).subarray(0, 1000);
  expect(messages.take(start.copy(messages.room()))).toBeNull();
  expect(messages.room().toString('latin1', 0, 5)).toBe('xxxxx');
});

test('a message may be larger than the shared memory', () => {
  const sent = message('a', Buffer.alloc(30 * MEGABYTE, 'x'));
  const pieces = pass(Buffer.concat([sent, sent]), 600_000);
  expect(pieces.map(({ length }) => length)).toEqual([sent.length, sent.length]);
});

test.each(['MSG a 1 many\r\n', 'MSG a 1 -5\r\n', 'HMSG a 1 5 99999999999\r\n'])(
  'a size that no server sends is refused: %j',
  (line) => {
    expect(() => pass(Buffer.from(line), 100)).toThrow(/without a valid size: H?MSG a 1/);
  },
);

/** Returns the output for reads of at most `most` bytes. */
function pass(sent: Buffer, most: number): Buffer[] {
  const messages = new WholeMessages();
  const pieces: Buffer[] = [];
  for (let at = 0; at < sent.length; ) {
    const bytes = sent.copy(messages.room(), 0, at, at + most);
    at += bytes;
    const whole = messages.take(bytes);
    if (whole) pieces.push(whole);
  }
  return pieces;
}

const message = (subject: string, payload: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(`MSG ${subject} 1 ${payload.length}\r\n`),
    payload,
    Buffer.from('\r\n'),
  ]);

function withHeaders(subject: string, headers: string, payload: Buffer): Buffer {
  const sizes = `${headers.length} ${headers.length + payload.length}`;
  const line = `HMSG ${subject} 1 reply.to ${sizes}\r\n`;
  return Buffer.concat([Buffer.from(line + headers), payload, Buffer.from('\r\n')]);
}
