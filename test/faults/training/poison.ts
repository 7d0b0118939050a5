import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MESSAGE_BYTES, moduleConfigSchema } from '@greedy-infomax/crds';
import { connect, headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import {
  eachFrame,
  FRAME_HEADER,
  type SentFrame,
  sealFrameHeader,
} from '../../../trainer/src/buffer/frame.ts';
import { natsOptions } from '../../support/gim.ts';

/** Invalid messages on an edge, as a damaged or hostile client might send them. */

type Below = (below: number) => number;
/** A message: the header of its frame, sent in base64, or null; and the activations. */
interface Message {
  head: Buffer | null;
  payload: Uint8Array;
}

const forged =
  (write: (head: Buffer) => void) =>
  ({ head, payload }: Message & { head: Buffer }): Message => {
    write(head);
    return { head, payload };
  };

/**
 * Corruptions by name, each applied to a valid message; the activations are random bytes in any
 * case.
 */
const KINDS: Record<string, (message: Message & { head: Buffer }) => Message> = {
  'random bytes': ({ payload }) => ({ head: null, payload }),
  'a header of random bytes': ({ payload }) => ({
    head: Buffer.from(payload.subarray(0, 52)),
    payload,
  }),
  empty: () => ({ head: null, payload: new Uint8Array(0) }),
  'cut short': ({ head, payload }) => ({ head, payload: payload.subarray(0, payload.length - 1) }),
  'wrong shape': forged((head) => head.writeUInt32LE(head.readUInt32LE(8) + 4, 8)),
  'wrong version': forged((head) => head.writeUInt16LE(1, 4)),
  oversize: ({ head }) => ({ head, payload: new Uint8Array(MESSAGE_BYTES + 1) }),
  'forged: 65,535 samples': forged((head) => head.writeUInt16LE(65_535, 6)),
  'forged: chunk 9 of 4 billion': forged((head) => {
    head.writeUInt32LE(9, 12);
    head.writeUInt32LE(0xffffffff, 16);
  }),
  'forged: an id that is NaN': forged((head) => head.writeDoubleLE(Number.NaN, 28)),
  'forged: activations that are NaN': ({ head, payload }) => ({
    head,
    payload: payload.fill(0xff),
  }),
};

export const POISONS = Object.keys(KINDS);

/**
 * Sends one message of every kind to the output edge of `module` of the run in `out`. Returns how
 * many the server stored.
 */
export async function poison(
  natsUrl: string,
  out: string,
  module: string,
  random: Below,
): Promise<number> {
  const file = join(out, 'modules', module, 'module.json');
  const { sink } = moduleConfigSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  if (sink === null) throw new TypeError(`module ${module} has no consumer`);
  const connection = await connect(natsOptions(natsUrl, out));
  let taken = 0;
  for (const kind of Object.values(KINDS)) {
    const bytes = Uint8Array.from({ length: sink.sampleBytes }, () => random(256));
    const [ids, labels] = [Float64Array.of(random(1000)), Int32Array.of(1)];
    const rows = { bytes, ids, labels, producerStep: random(1000), madeAt: 0 };
    const [frame] = [...eachFrame(rows, random(2 ** 32), () => 0, 1)] as SentFrame[] as [SentFrame];
    const { head, payload } = kind({ ...frame, head: Buffer.from(frame.record, 'base64') });
    const about = headers();
    if (head) about.set(FRAME_HEADER, sealFrameHeader(head.toString('base64')));
    about.set('Nats-Msg-Id', `poison-${random(2 ** 32)}`);
    about.set('Nats-Expected-Stream', sink.stream);
    if (await isTaken(connection, sink.subject, payload, about)) taken += 1;
  }
  await connection.close();
  return taken;
}

/** Reports whether the stream stored the message; retries while the stream is full. */
async function isTaken(
  connection: NatsConnection,
  subject: string,
  message: Uint8Array,
  about: MsgHdrs,
): Promise<boolean> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answer = await connection.request(subject, message, { headers: about, timeout: 20_000 });
    const { error } = answer.json<{ error?: { description: string } }>();
    if (error === undefined) return true;
    if (!/maximum (messages|bytes) exceeded/.test(error.description)) return false;
    await sleep(20);
  }
  return false;
}
