import { PHONE_FRAME } from '@greedy-infomax/crds';
import { expect, it } from 'vitest';
import { openEvaluationWindows, openSpeechBatches } from './speech-batches.ts';
import { put, testFolder, wave } from './testing/files.ts';

const FRAMES = 20;
/** Frames of a window. */
const WINDOW = 4;
const samples = WINDOW * PHONE_FRAME;
const window = { samples, normalize: { mean: 0, std: 1 } };

/** Returns speech whose values are their positions, counted from 1: a window tells where it was cut. */
const ramp = (frames: number) => Int16Array.from({ length: frames * PHONE_FRAME }, (_, i) => i + 1);
/** A phone of its own for each frame, so that its number is that of the frame. */
const phones = (frames: number) =>
  new TextEncoder().encode(Array.from({ length: frames }, (_, i) => `p${i + 10}`).join(' '));

/** Writes a training part with one utterance of 20 frames and a test part with one of `frames`; `labelled` frames have phones. */
function speech(frames = FRAMES, labelled = frames) {
  const path = testFolder();
  put(path, 'train/ann/1.wav', wave(ramp(FRAMES)));
  put(path, 'train/ann/1.phones', phones(FRAMES));
  put(path, 'test/ann/1.wav', wave(ramp(frames)));
  put(path, 'test/ann/1.phones', phones(labelled));
  return { format: 'wav' as const, path };
}

const pcmOf = (bytes: Uint8Array) => new Int16Array(bytes.slice().buffer);

/** Returns the start of each window in `count` epochs of the training part. */
async function starts(seed: number, count: number, start = 0): Promise<number[]> {
  const order = { split: 'train' as const, seed, batchSize: 1, start };
  const batches = await openSpeechBatches({ data: speech(), window, ...order } as Parameters<
    typeof openSpeechBatches
  >[0]);
  const found = [];
  for (let i = 0; i < count; i += 1) {
    const pcm = pcmOf((await batches.next()).bytes);
    expect(pcm).toEqual(Int16Array.from(pcm, (_, j) => (pcm[0] as number) + j));
    found.push((pcm[0] as number) - 1);
  }
  return found;
}

it('training windows begin at whole frames after the first, each about equally often', async () => {
  const found = await starts(3, 320);
  const places = FRAMES - WINDOW;
  const counts = Array.from(
    { length: places },
    (_, i) => found.filter((from) => from === (i + 1) * PHONE_FRAME).length,
  );
  expect(counts.reduce((sum, n) => sum + n, 0)).toBe(320);
  const chiSquare = counts.reduce((sum, n) => sum + (n - 20) ** 2 / 20, 0);
  expect(chiSquare).toBeLessThan(places + 6 * Math.sqrt(places));
});

it('a window depends on seed and ordinal alone', async () => {
  const found = await starts(3, 12);
  expect(await starts(3, 6, 6)).toEqual(found.slice(6));
  expect(await starts(4, 12)).not.toEqual(found);
});

const evaluated = async (data: ReturnType<typeof speech>) => {
  const { windows } = await openEvaluationWindows(data, window, 'test');
  const found = [];
  for await (const each of windows()) found.push(each);
  const [first] = found;
  if (!first || found.length > 1) throw new Error(`${found.length} windows of one utterance`);
  return first;
};

it('an evaluation window is the middle of the utterance, with the phones of its own frames', async () => {
  const { pcm, phones: labels } = await evaluated(speech());
  expect([...labels]).toEqual([8, 9, 10, 11]);
  expect([pcm[0], pcm.at(-1)]).toEqual([8 * PHONE_FRAME + 1, 12 * PHONE_FRAME]);
});

it('frames without a phone, and those after the end, have no label', async () => {
  expect([...(await evaluated(speech(FRAMES, 10))).phones]).toEqual([8, 9, -1, -1]);
  const short = await evaluated(speech(2));
  expect([...short.phones]).toEqual([0, 1, -1, -1]);
  expect([...short.pcm.subarray(0, 2 * PHONE_FRAME)]).toEqual([...ramp(2)]);
  expect(short.pcm.subarray(2 * PHONE_FRAME).every((value) => value === 0)).toBe(true);
});
