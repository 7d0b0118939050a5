import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkpointBucket, parseRun } from '@greedy-infomax/crds';
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { planRun, type RunPlan } from '../../../operator/src/plan/run.ts';
import { startNats, type TestNats } from '../../../test/support/nats.ts';

/** A trainer with its checkpoints in the object store, as in a pod without a volume. */

const RUN = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata: { name: small }
spec:
  data: { format: digits }
  augmentation: { pad: 0, crop: 24 }
  patches: { size: 8, stride: 8 }
  modules:
    - { name: first, layers: [{ type: conv, channels: 4, stride: 2 }] }
  objective: { type: infoNCE, predictionSteps: 1 }
  training: { samples: 100000000 }
  checkpoints: { everySeconds: 1, keep: 2, storage: { objectStore: {} } }
`;
const ID = { namespace: 'team', name: 'small', uid: '1' };

let folder: string;
let nats: TestNats;
let connection: NatsConnection;
let trainers: ChildProcess[];
beforeEach(async () => {
  trainers = [];
  folder = mkdtempSync(join(tmpdir(), 'greedy-infomax-bucket-'));
  nats = await startNats();
  connection = await connect({ servers: nats.url });
  const run = parseRun(RUN, 'run.yaml');
  const plan: RunPlan = planRun(run, { ...ID, storage: true });
  writeFileSync(join(folder, 'module.json'), JSON.stringify(plan.modules[0]));
  await ensureStreams(connection, [plan.state, ...(plan.bucket ? [plan.bucket] : [])]);
});
afterEach(async () => {
  for (const trainer of trainers) trainer.kill('SIGKILL');
  await connection.close();
  await nats.stop();
  rmSync(folder, { recursive: true });
});

/** Starts a trainer in a scratch folder of its own. `line` finds a message in its log. */
function startTrainer(scratch: string) {
  const out = join(folder, scratch);
  mkdirSync(out);
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, '../main.ts'),
      ...['--config', join(folder, 'module.json'), '--out', out, '--nats', nats.url],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  trainers.push(child);
  let log = '';
  child.stdout?.on('data', (data) => {
    log += data;
  });
  const line = (text: string): { step: number } | undefined => {
    const found = log.split('\n').find((each) => each.includes(`"msg":"${text}`));
    return found && JSON.parse(found);
  };
  return { child, out, line };
}

const WITHIN = { timeout: 60_000, interval: 200 };
const steps = async (): Promise<number[]> => {
  const store = await new Objm(connection).open(checkpointBucket(ID));
  const objects = (await store.list()).filter(({ name }) => name.startsWith('first/replica-0/'));
  return objects.map(({ name }) => Number(/(\d{9,})/.exec(name)?.[1])).toSorted((a, b) => a - b);
};

it('a killed trainer continues from the bucket without its disk; a stopped one loses no step', async () => {
  const first = startTrainer('a');
  await expect.poll(steps, WITHIN).toHaveLength(2);
  const exited = once(first.child, 'exit');
  first.child.kill('SIGKILL');
  await exited;
  const saved = (await steps()).at(-1);

  const second = startTrainer('b');
  await expect.poll(() => second.line('continuing from a checkpoint')?.step, WITHIN).toBe(saved);
  await expect.poll(async () => (await steps()).at(-1), WITHIN).toBeGreaterThan(saved ?? 0);
  const stopped = once(second.child, 'exit');
  second.child.kill('SIGTERM');
  await stopped;
  const last = second.line('checkpoint written')?.step;
  expect((await steps()).at(-1)).toBe(last);
  expect(await steps()).toHaveLength(2);
  expect(readdirSync(second.out).filter((name) => name.includes('checkpoint'))).toEqual([]);
});
