import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type ModuleConfig, trainingSplit } from '@greedy-infomax/crds';
import { readRunFile } from '../../operator/src/cli/run-file.ts';
import { planRun } from '../../operator/src/plan/run.ts';
import { shareThreads } from '../../trainer/src/threads.ts';
import { WARM_UP } from './warm-up.ts';

/**
 * Trains a run file's modules in one process, in sequence, with all cores: each batch goes through
 * all of them before the next is read. Prints the rate and, for each module, the input of `gim plan
 * --simulate`; the first module's time includes reading the data. `node bench/pipeline/in-turn.ts
 * --file FILE [--stages STAGES.json]`
 */

const { values } = parseArgs({
  options: { file: { type: 'string', default: '' }, stages: { type: 'string' } },
});

const run = readRunFile(values.file);
const { modules } = planRun(run, { namespace: 'local', uid: 'in-turn' });
const [first] = modules as [ModuleConfig];
if (first.source.kind !== 'data') throw new TypeError(`${values.file}: only images are supported`);
const { batchSize, budget, seed } = first;
shareThreads(batchSize); // Set before TensorFlow is loaded.
const { openBatches } = await import('../../trainer/src/data/batches.ts');
const { compileModule } = await import('../../trainer/src/module/program.ts');
const { stepSeed } = await import('../../trainer/src/module/step.ts');
const stages = modules.map((config) => ({
  config,
  program: compileModule(config),
  train: { ms: 0, cpuMs: 0 },
  forwardMs: 0,
}));
const split = trainingSplit(first.objective);
const batches = await openBatches({ ...first.source, split, seed, batchSize, start: 0 });

const steps = Math.ceil(budget / batchSize);
for (let step = -WARM_UP; step < steps; step += 1) {
  let began = now();
  const batch = await batches.next();
  let { bytes } = batch;
  for (const { config, program, train } of stages) {
    const { activations } = program.run('train', {
      batch: bytes,
      labels: batch.labels,
      seed: stepSeed(config, 0, step + WARM_UP),
    });
    (bytes.buffer as ArrayBuffer).transfer(0);
    bytes = activations as Uint8Array<ArrayBuffer>;
    const ended = now();
    if (step >= 0) {
      const ms = ended.ms - began.ms;
      train.ms += ms;
      train.cpuMs += ended.cpuMs - began.cpuMs;
    }
    began = ended;
  }
}
await timeForward();

const totalMs = stages.reduce((sum, { train }) => sum + train.ms, 0);
const measured = {
  cores: availableParallelism(),
  modules: Object.fromEntries(
    stages.map(({ config, train, forwardMs }) => [
      config.name,
      {
        msPerBatch: train.ms / steps,
        ...(config.sink && { forwardMsPerBatch: forwardMs }),
        cores: train.cpuMs / train.ms,
      },
    ]),
  ),
};
if (values.stages !== undefined) writeFileSync(values.stages, JSON.stringify(measured, null, 2));
console.log(
  JSON.stringify({ samplesPerSecond: (1000 * steps * batchSize) / totalMs, ...measured }),
);
process.exit(0);

/** A tenth as many steps, forward only. */
async function timeForward(): Promise<void> {
  const count = Math.max(10, Math.ceil(steps / 10));
  for (let step = -1; step < count; step += 1) {
    let began = performance.now();
    let { bytes } = await batches.next();
    for (const stage of stages) {
      if (!stage.config.sink) break; // The last module has no consumer.
      const { activations } = stage.program.run('forward', { batch: bytes });
      bytes = activations as Uint8Array<ArrayBuffer>;
      const ended = performance.now();
      if (step >= 0) stage.forwardMs += (ended - began) / count;
      began = ended;
    }
  }
}

function now(): { ms: number; cpuMs: number } {
  const { user, system } = process.cpuUsage();
  return { ms: performance.now(), cpuMs: (user + system) / 1000 };
}
