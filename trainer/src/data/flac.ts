import { availableParallelism } from 'node:os';
import { SAMPLE_RATE } from '@greedy-infomax/crds';
import type { FLACDecoderWebWorker } from '@wasm-audio-decoders/flac';
import { DataError } from './errors.ts';

/** Decodes FLAC files, several at a time, in threads beside the one that trains: a file takes it 20 ms and more. */

const THREADS = Math.max(1, Math.min(8, availableParallelism() - 1));

/** Milliseconds without work after which the threads end; they would keep the process alive. */
const IDLE = 1000;

/** What the decoder calls 1 is the largest value of 16 bits. */
const FULL_SCALE = 2 ** 15 - 1;

/** The samples of a FLAC file of one channel, 16,000 a second. Throws a `DataError` that names `file`. */
export async function decodeFlac(bytes: Uint8Array, file: string): Promise<Int16Array> {
  const total = streamLength(bytes, file);
  const { channelData, samplesDecoded, sampleRate } = await withDecoder(async (decoder) => {
    const decoded = await decoder.decodeFile(bytes);
    await decoder.reset();
    return decoded;
  });
  const [channel] = channelData;
  // The decoder passes over frames that are damaged, without an error.
  if (!channel || samplesDecoded === 0 || samplesDecoded < total) {
    throw new DataError(
      `${file} says that it has ${total} samples, but ${samplesDecoded} can be read; fetch it again`,
    );
  }
  if (channelData.length !== 1 || sampleRate !== SAMPLE_RATE) {
    throw new DataError(
      `${file} has ${sampleRate} samples a second, ${channelData.length} channel(s); ${SAMPLE_RATE} and 1 would be right`,
    );
  }
  return Int16Array.from(channel.subarray(0, total || samplesDecoded), (x) =>
    Math.round(x * FULL_SCALE),
  );
}

/** Samples of the stream by its first block, 0 if it does not say: 36 bits behind the tag, the block's header and 13 bytes. */
function streamLength(bytes: Uint8Array, file: string): number {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 4));
  if (text !== 'fLaC' || bytes.length < 42) {
    throw new DataError(
      `${file} is not a FLAC file: it begins with ${JSON.stringify(text)}, not "fLaC"`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (view.getUint8(21) & 0xf) * 2 ** 32 + view.getUint32(22);
}

const idle: FLACDecoderWebWorker[] = [];
const waiting: ((decoder: FLACDecoderWebWorker) => void)[] = [];
let running = 0;
let end: NodeJS.Timeout | undefined;

/** Lends a decoder; there are as many as threads, and none while nobody decodes. */
async function withDecoder<T>(use: (decoder: FLACDecoderWebWorker) => Promise<T>): Promise<T> {
  clearTimeout(end);
  const decoder = idle.pop() ?? (running < THREADS ? await openDecoder() : await nextFree());
  try {
    return await use(decoder);
  } finally {
    const next = waiting.shift();
    if (next) next(decoder);
    else idle.push(decoder);
    if (idle.length === running) end = setTimeout(freeAll, IDLE);
  }
}

const nextFree = () => new Promise<FLACDecoderWebWorker>((resolve) => waiting.push(resolve));

async function openDecoder(): Promise<FLACDecoderWebWorker> {
  running += 1;
  // Loaded with the first file: no other format needs it.
  const { FLACDecoderWebWorker } = await import('@wasm-audio-decoders/flac');
  const decoder = new FLACDecoderWebWorker();
  await decoder.ready;
  return decoder;
}

function freeAll(): void {
  running -= idle.length;
  for (const decoder of idle.splice(0)) void decoder.free();
}
