import { expect, test } from 'vitest';
import {
  decodeTrainerEnding,
  encodeTrainerEnding,
  provesCompletion,
  TERMINATION_MESSAGE_BYTES,
  type TrainedEnding,
} from './trainer-ending.ts';

const COMPLETE: TrainedEnding = {
  outcome: 'complete',
  run: '5c7b2a5e-4f7e-4a5c-9a53-0b1a2c3d4e5f',
  module: 'first',
  replica: 0,
  step: 20,
  samples: 640,
  budget: 640,
  checkpoint: { step: 20, file: 'checkpoint-000000020.safetensors', sha256: 'a'.repeat(64) },
};

test('an ending is read as it was written', () => {
  expect(decodeTrainerEnding(encodeTrainerEnding(COMPLETE))).toEqual(COMPLETE);
});

test.each(['"', '\u0001', '→'])('an error of many %j fits into a termination message', (letter) => {
  const text = encodeTrainerEnding({ outcome: 'failed', message: letter.repeat(100_000) });
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(TERMINATION_MESSAGE_BYTES);
  expect(decodeTrainerEnding(text)?.outcome).toBe('failed');
});

test.each([undefined, '', 'done', '{}', '{"outcome":"complete"}', '{"outcome":"failed"}'])(
  '%j is no ending',
  (text) => {
    expect(decodeTrainerEnding(text)).toBeNull();
  },
);

test('a spent budget and a checkpoint of the last step prove completion', () => {
  expect(provesCompletion(COMPLETE)).toBe(true);
});

test.each<[string, Partial<TrainedEnding>]>([
  ['a stop', { outcome: 'stopped' }],
  ['a budget that is not spent', { samples: 639 }],
  ['no checkpoint', { checkpoint: null }],
  ['an earlier checkpoint', { step: 21 }],
  ['no samples', { samples: 0, budget: 0 }],
])('%s proves nothing', (_, change) => {
  expect(provesCompletion({ ...COMPLETE, ...change })).toBe(false);
});
