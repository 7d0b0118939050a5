import type { ModuleConfig } from '@greedy-infomax/crds';
import { expect, it } from 'vitest';
import { Budget } from './budget.ts';
import type { ControlChannel } from './control-channel.ts';

const config = { name: 'm', budget: 100 } as ModuleConfig;

/** Returns a budget of replica 1; `published`: samples by replica, as published by the operator. */
const open = (
  published: Record<string, number> | undefined,
  before: { samples: number; others?: Record<string, number> } | null,
) => {
  const replicasOf = () => published && { replicas: 3, samples: published };
  return new Budget(config, 1, { replicasOf } as unknown as ControlChannel, before);
};

it('counts its own samples once, independent of the number that the operator publishes', () => {
  const budget = open({ 0: 30, 1: 50, 2: 19 }, { samples: 50 });
  expect(budget.own).toBe(50);
  expect(budget.others).toEqual({ 0: 30, 2: 19 });
  expect(budget.spent).toBe(false);
  budget.own += 1;
  expect(budget.spent).toBe(true);
});

it('starts from the samples that an earlier process of its replica reported, without a checkpoint', () => {
  expect(open({ 1: 40 }, null).own).toBe(40);
  expect(open({ 1: 40 }, { samples: 32 }).own).toBe(32);
  expect(open(undefined, null).own).toBe(0);
});

it('takes the samples of its peers from the checkpoint until the operator publishes newer ones', () => {
  const before = { samples: 10, others: { 0: 20, 2: 30 } };
  expect(open(undefined, before).others).toEqual({ 0: 20, 2: 30 });
  expect(open({ 0: 25 }, before).others).toEqual({ 0: 25, 2: 30 });
});
