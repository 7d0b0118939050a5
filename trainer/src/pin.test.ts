import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { pinComputeThreads } from './pin.ts';
import { backend } from './tf.ts';

/** Returns the name of each thread of this process and the processors that it may use. */
const allowed = () =>
  readdirSync('/proc/self/task').map((id) => {
    const status = readFileSync(`/proc/self/task/${id}/status`, 'utf8');
    const of = (field: string) => new RegExp(`^${field}:\\s*(\\S+)$`, 'm').exec(status)?.[1] ?? '';
    return { name: of('Name'), cpus: of('Cpus_allowed_list') };
  });
const here = allowed()[0]?.cpus ?? '0';
const [first = '0'] = here.split(/[-,]/);

describe('compute threads', () => {
  afterEach(() => {
    pinComputeThreads(here);
  });

  it('are pinned to the given core, and no other threads are', () => {
    expect(backend.binding).toBeDefined(); // TensorFlow is loaded
    const before = allowed().filter(({ name }) => name !== 'tf_Compute');
    expect(pinComputeThreads(first)).toBeGreaterThan(0);
    const compute = allowed().filter(({ name }) => name === 'tf_Compute');
    expect(new Set(compute.map(({ cpus }) => cpus))).toEqual(new Set([first]));
    const after = allowed().filter(({ name }) => name !== 'tf_Compute');
    expect(new Set(after.map(({ cpus }) => cpus))).toEqual(new Set(before.map(({ cpus }) => cpus)));
  });

  it('stay unpinned without a core, or with a core that does not exist', () => {
    expect(pinComputeThreads(undefined)).toBe(0);
    expect(pinComputeThreads('99999')).toBe(0);
    const compute = allowed().filter(({ name }) => name === 'tf_Compute');
    expect(new Set(compute.map(({ cpus }) => cpus))).toEqual(new Set([here]));
  });
});
