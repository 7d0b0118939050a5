import { mkdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type ModuleConfig, parseRun, trainingSplit } from '@greedy-infomax/crds';
import { moduleFolder, writeModules } from '../../operator/src/local/folder.ts';
import { planRun } from '../../operator/src/plan/run.ts';
import { configHash } from '../../trainer/src/checkpoint/config-hash.ts';
import { CheckpointStore } from '../../trainer/src/checkpoint/store.ts';
import { shareThreads } from '../../trainer/src/threads.ts';
import { NO_PROGRESS, saveCheckpoint } from '../../trainer/src/train/resume.ts';

/**
 * Trains a run file's modules in one process, in sequence: each batch goes through all of them
 * before the next is read, so that no sample is stale or lost. Writes checkpoints as `gim run` does
 * and prints the seconds of the training alone. `node bench/asynchrony/synchronous.ts --file FILE
 * --out DIR`
 */

const { values } = parseArgs({
  options: { file: { type: 'string', default: '' }, out: { type: 'string', default: '' } },
});
const { file, out } = values;

const run = parseRun(readFileSync(file, 'utf8'), file);
const { modules } = planRun(run, { namespace: 'local', uid: 'synchronous' });
const [first] = modules as [ModuleConfig];
if (first.source.kind !== 'data') throw new TypeError(`${file}: only images are supported`);
const { batchSize, budget, seed } = first;

shareThreads(batchSize); // Set before TensorFlow is loaded.
const { openBatches } = await import('../../trainer/src/data/batches.ts');
const { compileModule } = await import('../../trainer/src/module/program.ts');
const { stepSeed } = await import('../../trainer/src/module/step.ts');
const programs = modules.map((config) => ({ config, program: compileModule(config) }));
const batches = await openBatches({
  ...first.source,
  split: trainingSplit(first.objective),
  seed,
  batchSize,
  start: 0,
});

let start = 0;
for (let step = 0; step < budget / batchSize; step += 1) {
  const batch = await batches.next();
  let { bytes } = batch;
  for (const { config, program } of programs) {
    const { activations } = program.run('train', {
      batch: bytes,
      labels: batch.labels,
      // Uses the same seeds as a separate trainer.
      seed: stepSeed(config, 0, step),
    });
    bytes = activations as Uint8Array<ArrayBuffer>;
  }
  // The first step is slow: it compiles the graphs.
  if (step === 0) start = performance.now();
}
const seconds = (performance.now() - start) / 1000;

mkdirSync(out, { recursive: true });
writeModules(out, modules);
for (const { config, program } of programs) {
  const store = new CheckpointStore(moduleFolder(out, config.name), {
    keep: 1,
    configHash: configHash(config),
  });
  await saveCheckpoint(store, program, { ...NO_PROGRESS, samples: budget, position: budget });
}
console.log(JSON.stringify({ seconds }));
process.exit(0);
