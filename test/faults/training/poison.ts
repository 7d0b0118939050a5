import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  FRAME_HEADER_BYTES,
  MESSAGE_BYTES,
  moduleConfigSchema,
  SAMPLE_HEADER_BYTES,
} from '@greedy-infomax/crds';
import { connect, headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { framesOf } from '../../../trainer/src/buffer/frame.ts';

/** Messages on an edge that no trainer has sent, as a damaged or hostile client might. */

type Below = (below: number) => number;
type Change = (frame: Uint8Array, view: DataView) => Uint8Array;

/** What each does to a message that is as it should be; the body is random bytes in any case. */
const KINDS: Record<string, Change> = {
  'random bytes': (frame) => frame.subarray(FRAME_HEADER_BYTES + SAMPLE_HEADER_BYTES),
  empty: () => new Uint8Array(0),
  'cut short': (frame) => frame.subarray(0, frame.length - 1),
  'wrong shape': (frame, view) => {
    view.setUint32(8, view.getUint32(8, true) + 4, true);
    return frame;
  },
  'wrong version': (frame, view) => {
    view.setUint16(4, 2, true);
    return frame;
  },
  oversize: (frame) => {
    const large = new Uint8Array(MESSAGE_BYTES + 1);
    large.set(frame);
    return large;
  },
  'forged: 65,535 samples': (frame, view) => {
    view.setUint16(6, 65_535, true);
    return frame;
  },
  'forged: chunk 9 of 4 billion': (frame, view) => {
    view.setUint32(12, 9, true);
    view.setUint32(16, 0xffffffff, true);
    return frame;
  },
  'forged: an id that is no number': (frame, view) => {
    view.setFloat64(FRAME_HEADER_BYTES, Number.NaN, true);
    return frame;
  },
  'forged: activations that are no numbers': (frame) => {
    frame.fill(0xff, FRAME_HEADER_BYTES + SAMPLE_HEADER_BYTES);
    return frame;
  },
};

export const POISONS = Object.keys(KINDS);

/**
 * Sends one message of every kind to the edge behind module `module` of the run in `out`. Returns how many the
 * server took.
 */
export async function poison(
  natsUrl: string,
  out: string,
  module: string,
  random: Below,
): Promise<number> {
  const file = join(out, 'modules', module, 'module.json');
  const { sink } = moduleConfigSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  if (sink === null) throw new TypeError(`module ${module} feeds no other`);
  const connection = await connect({ servers: natsUrl });
  let taken = 0;
  for (const kind of Object.values(KINDS)) {
    const bytes = Uint8Array.from({ length: sink.sampleBytes }, () => random(256));
    const sample = { id: random(1000), label: 1, producerStep: random(1000), madeAt: 0, bytes };
    const [frame] = framesOf([sample], random(2 ** 32), 0, 1) as [Uint8Array];
    const message = kind(frame, new DataView(frame.buffer));
    const about = headers();
    about.set('Nats-Msg-Id', `poison-${random(2 ** 32)}`);
    about.set('Nats-Expected-Stream', sink.stream);
    if (await isTaken(connection, sink.subject, message, about)) taken += 1;
  }
  await connection.close();
  return taken;
}

/** Whether the message came into the stream; one that is full just now is tried again. */
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
