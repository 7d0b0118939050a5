import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRun } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { planRun } from './run.ts';
import { sharesOf } from './threads.ts';

function modulesOf(example: string) {
  const name = join(import.meta.dirname, '../../../examples', example);
  const run = parseRun(readFileSync(name, 'utf8'), name);
  run.spec.training = { samples: 1 };
  return planRun(run, { namespace: 'local', uid: 'a' }).modules;
}
const digits = modulesOf('digits.yaml');
const once = digits.map((module) => ({ module, trainers: 1 }));

const threadsOf = (...options: Parameters<typeof sharesOf>) =>
  sharesOf(...options).map(({ threads }) => threads);
const coresOf = (...options: Parameters<typeof sharesOf>) =>
  sharesOf(...options).map(({ cores }) => cores);

describe('trainers that can be dealt evenly', () => {
  it('keep to a core each, a module with half of the work to one of two', () => {
    expect(coresOf(2, once)).toEqual([[0], [1], [1]]);
    expect(threadsOf(2, once)).toEqual([1, 1, 1]);
  });

  it('do so each by itself where a module has several', () => {
    const twice = digits.map((module) => ({ module, trainers: 2 }));
    const cores = coresOf(2, twice);
    expect(cores.map((of) => of?.toSorted())).toEqual([
      [0, 1],
      [0, 1],
      [0, 1],
    ]);
  });

  it('share all cores where there is one, or none to choose from', () => {
    expect(coresOf(1, once)).toEqual([null, null, null]);
    expect(coresOf(2, once.slice(0, 1))).toEqual([null]);
  });
});

describe('trainers that cannot be dealt evenly', () => {
  const [edges, strokes] = once as [(typeof once)[0], (typeof once)[0]];

  it('share all cores, each with threads for its part of the work', () => {
    expect(sharesOf(2, [edges, strokes])).toEqual([
      { threads: 2, cores: null },
      { threads: 1, cores: null },
    ]);
    expect(threadsOf(16, once)).toEqual([9, 6, 4]);
  });

  it('share the threads of their module', () => {
    expect(threadsOf(16, [{ ...edges, trainers: 3 }, ...once.slice(1)])).toEqual([3, 6, 4]);
  });

  it('have all cores where there is one trainer', () => {
    expect(threadsOf(16, [edges])).toEqual([16]);
  });

  it('have no bounds on machines without', () => {
    expect(threadsOf(Number.POSITIVE_INFINITY, once)).toEqual([Infinity, Infinity, Infinity]);
  });
});
