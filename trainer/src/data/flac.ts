import { availableParallelism } from 'node:os';
import { SAMPLE_RATE } from '@greedy-infomax/crds';
import type { FLACDecoderWebWorker } from '@wasm-audio-decoders/flac';
import { DataError } from './errors.ts';

/** Decodes FLAC files in worker threads, several at a time: a file takes 20 ms or more. */

const THREADS = Math.max(1, Math.min(8, availableParallelism() - 1));

/** Milliseconds without work until the threads end; otherwise they would keep the process alive. */
const IDLE = 1000;

/** Maximum number of samples of a file: four hours. */
const MAX_SAMPLES = 4 * 3600 * SAMPLE_RATE;
/** Maximum milliseconds to decode a file. */
const MAX_TIME = 120_000;

/** 16-bit value that the decoder returns as 1. */
const FULL_SCALE = 2 ** 15 - 1;

/** Returns the samples of a FLAC file of one channel at 16 kHz. Throws a `DataError` that names `file`. */
export async function decodeFlac(bytes: Uint8Array, file: string): Promise<Int16Array> {
  const total = streamLength(bytes, file);
  const { channelData, samplesDecoded, sampleRate } = await decoded(bytes, file);
  const [channel] = channelData;
  // The decoder skips damaged frames without an error.
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

/** Decodes a file in a thread, which is ended after an error or a timeout. Throws a `DataError`. */
function decoded(bytes: Uint8Array, file: string) {
  return withDecoder(async (decoder) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${MAX_TIME} ms`)), MAX_TIME);
    });
    try {
      const found = await Promise.race([decoder.decodeFile(bytes), late]);
      await Promise.race([decoder.reset(), late]);
      return found;
    } catch (cause) {
      throw new DataError(
        `${file} cannot be decoded: ${(cause as Error).message}; fetch it again`,
        { cause },
      );
    } finally {
      clearTimeout(timer);
    }
  });
}

/**
 * Returns the number of samples from the first block of the stream; 0 if unknown. Decodes no samples.
 * @throws DataError for another rate, several channels, or a stream that is too long
 */
function streamLength(bytes: Uint8Array, file: string): number {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 4));
  if (text !== 'fLaC' || bytes.length < 42) {
    throw new DataError(
      `${file} is not a FLAC file: it begins with ${JSON.stringify(text)}, not "fLaC"`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The block has a header of 4 bytes; its fields of 20, 3, 5 and 36 bits begin at byte 18 of the file.
  const rate = view.getUint32(18) >>> 12;
  const channels = ((view.getUint8(20) >> 1) & 7) + 1;
  const total = (view.getUint8(21) & 0xf) * 2 ** 32 + view.getUint32(22);
  if (channels !== 1 || rate !== SAMPLE_RATE) {
    throw new DataError(
      `${file} has ${rate} samples a second, ${channels} channel(s); ${SAMPLE_RATE} and 1 would be right`,
    );
  }
  if (total > MAX_SAMPLES) {
    throw new DataError(
      `${file} announces ${total} samples; at most ${MAX_SAMPLES}, four hours, are read: cut it in several files`,
    );
  }
  return total;
}

const idle: FLACDecoderWebWorker[] = [];
const waiting: ((decoder: FLACDecoderWebWorker) => void)[] = [];
let running = 0;
let end: NodeJS.Timeout | undefined;

/** Lends a decoder: at most one per thread, and none after a time without work. */
async function withDecoder<T>(use: (decoder: FLACDecoderWebWorker) => Promise<T>): Promise<T> {
  clearTimeout(end);
  const decoder = idle.pop() ?? (running < THREADS ? await openDecoder() : await nextFree());
  try {
    const result = await use(decoder);
    handOn(decoder);
    return result;
  } catch (error) {
    // The decoder may still be busy with the file that it cannot decode.
    (decoder as FLACDecoderWebWorker & { terminate(): void }).terminate();
    running -= 1;
    if (waiting.length > 0) handOn(await openDecoder());
    throw error;
  } finally {
    if (idle.length === running) end = setTimeout(freeAll, IDLE);
  }
}

function handOn(decoder: FLACDecoderWebWorker): void {
  const next = waiting.shift();
  if (next) next(decoder);
  else idle.push(decoder);
}

const nextFree = () => new Promise<FLACDecoderWebWorker>((resolve) => waiting.push(resolve));

async function openDecoder(): Promise<FLACDecoderWebWorker> {
  running += 1;
  // Loaded with the first file, because no other format needs it.
  const { FLACDecoderWebWorker } = await import('@wasm-audio-decoders/flac');
  const decoder = new FLACDecoderWebWorker();
  await decoder.ready;
  return decoder;
}

function freeAll(): void {
  running -= idle.length;
  for (const decoder of idle.splice(0)) void decoder.free();
}
