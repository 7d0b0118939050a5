import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { summarySchema } from '../../operator/src/report/summary.ts';
import { wave } from '../../trainer/src/data/testing/files.ts';
import { gim, tempFolder } from '../support/gim.ts';

/**
 * Speech from WAV files to accuracies: real trainers, a real NATS server, synthetic voices of
 * summed sines.
 */

const RATE = 16_000;
const FRAME = 160; // Samples of a phone label.
const SPEAKERS = { low: 100, middle: 160, high: 250 }; // Hz.
const PHONES = { ah: 6, ee: 14, oo: 3 }; // The harmonic that is as loud as the fundamental.

const RUN = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata:
  name: tiny-speech
spec:
  data:
    format: wav
    path: voices
  window:
    samples: 5120
  modules:
    - name: wave
      layers:
        - { type: conv1d, channels: 16, kernel: 10, stride: 5, padding: 2, activation: relu }
    - name: sound
      layers:
        - { type: conv1d, channels: 16, kernel: 8, stride: 4, padding: 2, activation: relu }
        - { type: conv1d, channels: 16, kernel: 8, stride: 8, activation: relu }
    - name: context
      layers:
        - { type: gru, channels: 16 }
  objective:
    type: infoNCE
    predictionSteps: 4
    subsample: 32
  optimizer:
    type: adam
    learningRate: 1.0e-3
  batchSize: 8
  training:
    samples: 400
  buffers:
    depth: 32
    whenFull: block
  evaluation:
    epochs: 40
    batchSize: 16
    learningRate: 1.0e-2
`;

let folder: string | undefined;
afterEach(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/**
 * Half a second: one phone for each tenth of it, with a different first phone in each utterance.
 */
function speak(file: string, pitch: number, turn: number): void {
  const pcm = new Int16Array(RATE / 2);
  const said = Object.entries(PHONES);
  const phones = Array.from({ length: pcm.length / FRAME }, (_, frame) => {
    const [symbol, harmonic] = said[(Math.floor(frame / 10) + turn) % said.length] as [
      string,
      number,
    ];
    for (let i = frame * FRAME; i < (frame + 1) * FRAME; i += 1) {
      const angle = (2 * Math.PI * pitch * i) / RATE;
      pcm[i] = 3000 * (Math.sin(angle + turn) + Math.sin(harmonic * angle));
    }
    return symbol;
  });
  writeFileSync(`${file}.wav`, wave(pcm, RATE));
  writeFileSync(`${file}.phones`, phones.join(' '));
}

it('trains on a folder of WAV files and classifies speakers and phones from every module', async () => {
  folder = tempFolder();
  for (const [split, utterances] of [
    ['train', 12],
    ['test', 6],
  ] as const) {
    for (const [speaker, pitch] of Object.entries(SPEAKERS)) {
      const own = join(folder, 'voices', split, speaker);
      mkdirSync(own, { recursive: true });
      for (let turn = 0; turn < utterances; turn += 1) speak(join(own, `${turn}`), pitch, turn);
    }
  }
  writeFileSync(join(folder, 'run.yaml'), RUN);
  const out = join(folder, 'out');
  const { code, output } = await gim('run', join(folder, 'run.yaml'), '--out', out);
  expect(code, output).toBe(0);

  const { modules } = summarySchema.parse(
    JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')),
  );
  expect(modules.map(({ name }) => name)).toEqual(['wave', 'sound', 'context']);
  for (const { samplesTrained, probeAccuracy, probeAccuracies } of modules) {
    expect(samplesTrained).toBe(400);
    expect(Object.keys(probeAccuracies ?? {})).toEqual(['speaker', 'phone']);
    expect(probeAccuracies?.speaker?.accuracy).toBe(probeAccuracy);
  }
  // Three voices and three phones: chance is a third. With buffers that block, all runs are
  // identical.
  const { speaker, phone } = modules[1]?.probeAccuracies ?? {};
  expect(speaker?.accuracy).toBeGreaterThan(0.5);
  expect(phone?.accuracy).toBeGreaterThan(0.5);
  expect(output).toMatch(/speaker +untrained +phone +untrained/);
  expect(output).toMatch(/sound: speaker [\d.]+ ?%, untrained [\d.]+ ?%; phone /);
});
