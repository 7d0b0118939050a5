import { type Data, PHONE_FRAME, type Window } from '@greedy-infomax/crds';
import { type Batch, type Batches, checkBatchSize, type Order, readAhead } from './batches.ts';
import type { Split, Utterance } from './dataset.ts';
import { openSpeech } from './open.ts';
import { datasetIndex, hash32 } from './order.ts';

interface Source {
  data: Data;
  window: Window;
  split: Split;
  batchSize: number;
}

/**
 * Opens endless batches of windows of speech from ordinal `start`, one window per utterance, in an order and at positions
 * drawn from `seed`; labels are speakers. Reads one batch ahead.
 * @throws DataError
 */
export async function openSpeechBatches({
  data,
  window: { samples },
  split,
  seed,
  batchSize,
  start,
  draw,
}: Source & Order): Promise<Batches> {
  const set = await openSpeech(data, split);
  checkBatchSize(batchSize, set.length, `${data.path} has ${set.length} utterances`, split);
  const load = async (first: number): Promise<Batch> => {
    const ids = Float64Array.from({ length: batchSize }, (_, i) => first + i);
    const labels = new Int32Array(batchSize);
    const pcm = new Int16Array(batchSize * samples);
    await Promise.all(
      Array.from(ids, async (ordinal, i) => {
        const utterance = await set.read(datasetIndex(ordinal, set.length, seed));
        const from = randomStart(utterance.pcm.length, samples, hash32(seed, ordinal));
        pcm.set(utterance.pcm.subarray(from, from + samples), i * samples);
        labels[i] = utterance.speaker;
      }),
    );
    return { bytes: new Uint8Array(pcm.buffer), labels, ids };
  };
  return readAhead(load, batchSize, { start, draw });
}

/** Returns the start of a window: a whole phone label but, as in the reference, not the first one if possible. */
function randomStart(length: number, samples: number, draw: number): number {
  const starts = Math.floor((length - samples) / PHONE_FRAME);
  return starts > 0 ? PHONE_FRAME * (1 + (draw % starts)) : 0;
}

/** A window of an utterance with its labels: `phones` has one label per frame, -1 without one. */
export interface LabelledWindow {
  pcm: Int16Array;
  speaker: number;
  phones: Int32Array;
}

export interface EvaluationWindows {
  readonly length: number;
  readonly speakers: number;
  readonly phones: number;
  /** Yields the middle window of every utterance, in order. */
  windows(): AsyncIterable<LabelledWindow>;
}

/** Opens the windows of a split for an evaluation. Throws a `DataError`. */
export async function openEvaluationWindows(
  data: Data,
  { samples }: Window,
  split: Split,
): Promise<EvaluationWindows> {
  const { length, speakers, phones, read } = await openSpeech(data, split);
  return {
    length,
    speakers,
    phones,
    async *windows() {
      for (let i = 0; i < length; i += 1) yield middle(await read(i), samples);
    },
  };
}

function middle({ pcm, speaker, phones }: Utterance, samples: number): LabelledWindow {
  const frame = Math.max(0, Math.floor((pcm.length - samples) / 2 / PHONE_FRAME));
  const from = frame * PHONE_FRAME;
  const out = new Int16Array(samples); // zeros: silence after a short utterance
  out.set(pcm.subarray(from, from + samples));
  const labels = new Int32Array(samples / PHONE_FRAME).fill(-1);
  labels.set(phones.subarray(frame, frame + labels.length));
  return { pcm: out, speaker, phones: labels };
}
