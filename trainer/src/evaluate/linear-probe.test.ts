import { describe, expect, it } from 'vitest';
import { probeAccuracy } from './linear-probe.ts';

const evaluation = { epochs: 40, batchSize: 16, learningRate: 0.01 };
const options = { channels: 3, classes: 3, evaluation, seed: 1 };

/** Returns three clouds around the corners of a simplex. Each is `spread` wide and `scale` away from zero. */
function clouds(samples: number, spread: number, scale = 1, shift = 0) {
  const labels = Int32Array.from({ length: samples }, (_, i) => i % 3);
  const features = Float32Array.from({ length: 3 * samples }, (_, i) => {
    const corner = Math.floor(i / 3) % 3 === i % 3 ? 1 : 0;
    return shift + scale * (corner + spread * Math.sin(i * 12.9898 + shift) * 2);
  });
  return { features, labels };
}

describe('a linear probe', () => {
  it('tells classes that a line can tell', () => {
    expect(probeAccuracy(clouds(300, 0.1), clouds(90, 0.1), options)).toBeGreaterThan(0.98);
  });

  it('does no better than chance where the features say nothing of the class', () => {
    const noise = (samples: number, phase: number) => ({
      labels: Int32Array.from({ length: samples }, (_, i) => i % 3),
      features: Float32Array.from(
        { length: 3 * samples },
        (_, i) => Math.sin((i + phase) * 78.233) * 43,
      ),
    });
    const accuracy = probeAccuracy(noise(600, 0), noise(600, 5000), options);
    expect(accuracy).toBeGreaterThan(0.2);
    expect(accuracy).toBeLessThan(0.47);
  });

  it('does not depend on the scale or the offset of the features', () => {
    const plain = probeAccuracy(clouds(300, 0.4), clouds(90, 0.4), options);
    const scaled = probeAccuracy(
      { ...clouds(300, 0.4), features: clouds(300, 0.4).features.map((x) => 1e-3 * x + 5) },
      { ...clouds(90, 0.4), features: clouds(90, 0.4).features.map((x) => 1e-3 * x + 5) },
      options,
    );
    expect(Math.abs(plain - scaled)).toBeLessThan(0.03);
  });

  it('predicts the class of a sample independent of the other test samples', () => {
    const [training, test] = [clouds(300, 0.8), clouds(90, 0.8, 1, 0.01)];
    const of = (label: number) => {
      const chosen = [...test.labels.keys()].filter((i) => test.labels[i] === label);
      return {
        labels: Int32Array.from(chosen, () => label),
        features: Float32Array.from(
          chosen.flatMap((i) => [...test.features.subarray(3 * i, 3 * i + 3)]),
        ),
      };
    };
    const together = probeAccuracy(training, test, options);
    const apart = [0, 1, 2].map((label) => probeAccuracy(training, of(label), options));
    expect(apart.reduce((sum, accuracy) => sum + accuracy / 3, 0)).toBeCloseTo(together, 10);
    expect(together).toBeGreaterThan(0.6);
    expect(together).toBeLessThan(1);
  });

  it('does not depend on the unit of a channel, nor on one that never varied in training', () => {
    const units = [1e4, 1, 1e-4];
    const measured = ({ labels, features }: ReturnType<typeof clouds>, constant: number) => ({
      labels,
      features: Float32Array.from(
        [...labels.keys()].flatMap((i) => [
          ...units.map((unit, c) => unit * (features[3 * i + c] as number)),
          constant,
        ]),
      ),
    });
    const [training, test] = [clouds(300, 0.3), clouds(90, 0.3)];
    const plain = probeAccuracy(training, test, options);
    const other = probeAccuracy(measured(training, 7), measured(test, 8), {
      ...options,
      channels: 4,
    });
    expect(plain).toBeGreaterThan(0.9);
    expect(Math.abs(plain - other)).toBeLessThan(0.03);
  });

  it('learns from samples in random order, however they come', () => {
    const mixed = clouds(300, 0.5);
    const order = [...mixed.labels.keys()].sort(
      (a, b) => (mixed.labels[a] as number) - (mixed.labels[b] as number),
    );
    const sorted = {
      labels: Int32Array.from(order, (i) => mixed.labels[i] as number),
      features: Float32Array.from(
        order.flatMap((i) => [...mixed.features.subarray(3 * i, 3 * i + 3)]),
      ),
    };
    const once = { epochs: 1, batchSize: 10, learningRate: 0.1 };
    expect(
      probeAccuracy(sorted, clouds(90, 0.5), { ...options, evaluation: once }),
    ).toBeGreaterThan(0.95);
  });

  it('takes fewer samples than a batch', () => {
    expect(probeAccuracy(clouds(12, 0.01), clouds(12, 0.01), options)).toBeGreaterThan(0.9);
  });
});
