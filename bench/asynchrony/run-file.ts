import type { Case } from './cases.ts';

/** Names in the order of the network. */
export const MODULES = ['one', 'two', 'three'] as const;
export const SLOWED = 'two';
const BATCH = 16;

/**
 * The run file of a case. With `latest` a module uses samples again while newer ones are missing, as in Decoupled
 * Greedy Learning; without that, one behind a slow module could do nothing but wait.
 */
export const runFile = ({ policy, depth, seed }: Case, samples: number): string =>
  `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata:
  name: asynchrony
spec:
  seed: ${seed}
  data:
    format: digits
  augmentation:
    pad: 0
    crop: 24
  patches:
    size: 8
    stride: 4
  modules:
    - name: one
      layers:
        - { type: conv, channels: 8, stride: 2 }
    - name: two
      layers:
        - { type: residual, channels: 16, stride: 2 }
    - name: three
      layers:
        - { type: residual, channels: 16 }
  objective:
    type: infoNCE
    predictionSteps: 3
    negatives: 16
  optimizer:
    learningRate: 0.002
  batchSize: ${BATCH}
  training:
    samples: ${samples}
  buffers:
    depth: ${BATCH * (depth ?? 1)}
    whenFull: ${policy === 'latest' ? 'dropOldest' : 'block'}
    maxReuse: ${policy === 'latest' ? 15 : 0}
  checkpoints:
    everySeconds: 60
    keep: 1
  evaluation:
    epochs: 20
`;
