import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { decodeSafetensors } from '../../trainer/src/checkpoint/safetensors.ts';
import type { WeightValue } from '../../trainer/src/step/function.ts';
import type { Program } from '../../trainer/src/step/program.ts';
import type { Values } from '../../trainer/src/tf.ts';

/** Fixtures of the parity tests, and comparisons of a compiled step with them. */

/** Tolerance of the trainer: within 1e-4 of an independent implementation. */
export const TOLERANCE = 1e-4;

export const ADAM = {
  type: 'adam' as const,
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
};

export interface Fixture {
  names: string[];
  get(name: string): { shape: readonly number[]; values: Values };
}

export function readFixture(file: string): Fixture {
  const { tensors } = decodeSafetensors(readFileSync(join(import.meta.dirname, 'fixtures', file)));
  return {
    names: Object.keys(tensors),
    get(name) {
      const tensor = tensors[name];
      if (!tensor) throw new Error(`the fixture lacks ${name}`);
      return { shape: tensor.shape, values: tensor.data as Values };
    },
  };
}

/** Returns the float32 tensors whose names begin with `prefix`, named without it. */
export const parametersOf = ({ names, get }: Fixture, prefix: string) =>
  Object.fromEntries(
    names
      .filter((name) => name.startsWith(prefix))
      .map((name): [string, WeightValue] => {
        const { shape, values } = get(name);
        return [name.slice(prefix.length), { shape, values: values as Float32Array }];
      }),
  );

/** Largest difference, relative to the largest expected value. */
export function difference(got: Values | undefined, expected: Values): number {
  expect(got?.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((x, i) => Math.abs(x - (got?.[i] as number)))) / (scale || 1);
}

/**
 * Gradients of the first step by weight; Adam's first moment is then (1 - beta1) times the
 * gradient.
 */
export function gradientsOf(program: Program<'train'>): Record<string, Float32Array> {
  const moment = 'adam.m.';
  return Object.fromEntries(
    Object.entries(program.read())
      .filter(([name]) => name.startsWith(moment))
      .map(([name, { values }]) => [
        name.slice(moment.length),
        values.map((m) => m / (1 - ADAM.beta1)),
      ]),
  );
}
