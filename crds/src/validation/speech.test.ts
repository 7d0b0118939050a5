import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { outputShape } from '../network/layers.ts';
import { samplesOf } from '../network/sample-shape.ts';
import { infoNCESettings, objectiveFor } from '../v1alpha1/run.ts';
import { parseRun } from './parse.ts';
import { changed, errorsIn } from './testing/run-file.ts';

/** A run on speech that names only what it must. */
const SPEECH = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata:
  name: small
spec:
  data:
    format: wav
    path: /data
  window:
    samples: 20480
  modules:
    - name: encoder
      layers:
        - { type: conv1d, channels: 8, kernel: 10, stride: 5, padding: 2, activation: relu }
        - { type: conv1d, channels: 8, kernel: 8, stride: 4, padding: 2, activation: relu }
    - name: context
      layers:
        - { type: gru, channels: 4 }
  objective:
    type: infoNCE
  training:
    samples: 640
`;

function speech(...changes: [path: string, value: unknown][]): string {
  const document = parseDocument(SPEECH);
  for (const [path, value] of changes) {
    const keys = path.split('.').map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    if (value === undefined) document.deleteIn(keys);
    else document.setIn(keys, document.createNode(value));
  }
  return document.toString();
}

const found = (text: string) => errorsIn(text).map(({ path, message }) => `${path}: ${message}`);

describe('a run on speech', () => {
  test('takes windows, normalised as LibriSpeech is, and no patches', () => {
    const { spec } = parseRun(SPEECH, 'run.yaml');
    expect(spec.window).toEqual({ samples: 20480, normalize: { mean: -0.000678, std: 0.06301 } });
    expect(samplesOf(spec)).toMatchObject({ grid: null, patches: 1, shape: [20480, 1, 1] });
  });

  test('is refused without a window, or with what is for images', () => {
    expect(found(speech(['spec.window', undefined]))).toEqual([
      expect.stringMatching(/^spec\.window: is missing; wav needs it/),
    ]);
    expect(found(speech(['spec.augmentation', { crop: 28 }]))).toEqual([
      expect.stringMatching(/^spec\.augmentation: has no effect for wav, which needs window/),
    ]);
  });

  test('is refused with a window that cuts through a phone label', () => {
    expect(found(speech(['spec.window.samples', 20_500]))).toEqual([
      expect.stringMatching(/^spec\.window\.samples: 20500 must be a multiple of 160/),
    ]);
  });

  test('is refused when a window becomes shorter than the objective reaches', () => {
    expect(found(speech(['spec.window.samples', 160]))).toEqual([
      expect.stringMatching(/^spec\.objective: predictionSteps 12.* at least 13 steps; .*encoder/),
    ]);
    const objective = { type: 'infoNCE', subsample: 10 };
    expect(found(speech(['spec.modules.1.objective', objective]))).toEqual([
      expect.stringMatching(/^spec\.modules\[1\]\.objective: .*and subsample takes 10/),
    ]);
  });

  test('has no context network for images', () => {
    const objective = { type: 'infoNCE', context: 'pixelCNN' };
    expect(found(speech(['spec.modules.1.objective', objective]))).toEqual([
      expect.stringMatching(/^spec\.modules\[1\]\.objective\.context: pixelCNN is only for images/),
    ]);
  });

  test('has its gru layers at the ends of modules', () => {
    const after = { type: 'conv1d', channels: 4 };
    expect(found(speech(['spec.modules.1.layers.1', after]))).toEqual([
      expect.stringMatching(/^spec\.modules\[1\]\.layers\[0\]: a gru layer must be the last/),
    ]);
  });
});

describe('a run on images', () => {
  test('is refused with a window, or without patches', () => {
    expect(found(changed(['spec.window', { samples: 160 }]))).toEqual([
      expect.stringMatching(/^spec\.window: has no effect for digits/),
    ]);
    expect(found(changed(['spec.patches', undefined]))).toEqual([
      expect.stringMatching(/^spec\.patches: is missing; digits needs it/),
    ]);
  });

  test('takes no gru layer, which reads sequences alone', () => {
    const layer = { type: 'gru', channels: 8 };
    expect(found(changed(['spec.modules.1.layers.0', layer]))).toEqual([
      expect.stringMatching(/a gru layer reads sequences, not maps of (28|4) columns/),
    ]);
  });
});

test('the layers of the paper make its lengths', () => {
  const conv = (kernel: number, stride: number, padding: number) =>
    ({ type: 'conv1d', channels: 512, kernel, stride, padding, activation: 'relu' }) as const;
  const layers = [conv(10, 5, 2), conv(8, 4, 2), conv(4, 2, 2), conv(4, 2, 2), conv(4, 2, 1)];
  const lengths = layers.map((_, i) => outputShape(layers.slice(0, i + 1), [20480, 1, 1])[0]);
  expect(lengths).toEqual([4095, 1023, 512, 257, 128]);
});

test('InfoNCE does what the paper does for speech, unless the run says otherwise', () => {
  expect(objectiveFor({ type: 'infoNCE', negatives: 4 }, 'speech')).toEqual({
    type: 'infoNCE',
    predictionSteps: 12,
    skip: 0,
    negatives: 4,
    sampling: 'shared',
    context: 'none',
    predictOn: 'context',
    subsample: 128,
  });
  expect(infoNCESettings({ type: 'infoNCE' })).toMatchObject({
    predictionSteps: 5,
    skip: 1,
    negatives: 16,
    sampling: 'targets',
    predictOn: 'target',
  });
});
