import { join } from 'node:path';
import { encodedBytes } from '@greedy-infomax/crds';
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { readRunFile } from '../../operator/src/cli/run-file.ts';
import { planRun } from '../../operator/src/plan/run.ts';
import { startNats } from '../../test/support/nats.ts';
import { median } from '../alternate.ts';
import { measure } from '../operator/measure.ts';
import { memory } from '../operator/process.ts';
import { openOperator } from '../operator/subjects.ts';
import { OwnStep } from '../step/own.ts';
import type { Point } from './fit.ts';

/** Curves: costs at several sizes. */

export interface Curve {
  what: string;
  x: string;
  y: string;
  points: Point[];
}

/** One step of the first digits module. */
export function stepOverBatch(batches: readonly number[], seconds: number): Curve {
  const run = readRunFile(join(import.meta.dirname, '../../examples/digits.yaml'));
  const points = batches.map((batchSize) => {
    const spec = { ...run.spec, batchSize, training: { samples: batchSize } };
    const [config] = planRun({ ...run, spec }, { namespace: 'local', uid: 'bench' }).modules;
    if (!config) throw new RangeError('the digits example lacks a module');
    const step = new OwnStep(config);
    step.run(seconds / 4); // Compiles.
    const y = median(step.run(seconds).ms);
    step.dispose();
    return { x: batchSize, y };
  });
  return { what: 'step of the first digits module', x: 'batch', y: 'ms', points };
}

/** One sample of 49 patches of 8 x 8. */
export const bytesOverChannels = (channels: readonly number[]): Curve => ({
  what: 'int8 sample of 49 patches of 8 x 8',
  x: 'channels',
  y: 'bytes',
  points: channels.map((x) => ({ x, y: encodedBytes('int8', 49, [8, 8, x]) })),
});

/** A server with one full stream; the memory of an empty server is subtracted. */
export async function natsOverDepth(
  depths: readonly number[],
  sampleBytes: number,
): Promise<Curve> {
  const points: Point[] = [];
  for (const depth of depths) {
    const nats = await startNats();
    const connection = await connect({ servers: nats.url });
    const empty = memory(nats.pid).now;
    const name = 'full';
    const manager = await jetstreamManager(connection);
    await manager.streams.add({
      name,
      subjects: [name],
      storage: StorageType.Memory,
      max_msgs: depth,
    });
    const body = new Uint8Array(sampleBytes);
    for (let i = 0; i < depth; i += 1) await jetstream(connection).publish(name, body);
    points.push({ x: depth, y: memory(nats.pid).now - empty });
    await connection.close();
    await nats.stop();
  }
  return {
    what: `NATS, samples of ${sampleBytes / 1000} kB`,
    x: 'depth in samples',
    y: 'MB',
    points,
  };
}

/** Memory of the operator beyond that for the first run. */
export async function operatorOverRuns(counts: readonly number[]): Promise<Curve> {
  const subject = await openOperator();
  try {
    const [first = 0, ...more] = counts;
    const { sizes } = await measure(subject, {
      single: 1,
      burst: first - 2,
      counts: [first, ...more],
    });
    const points = sizes.map(({ count, cpuPerObject }) => ({ x: count, y: count * cpuPerObject }));
    return { what: 'operator, all runs together', x: 'runs', y: 'CPU seconds', points };
  } finally {
    await subject.close();
  }
}
