import { usesLabels } from '@greedy-infomax/crds';
import { stepSeed } from '../module/step.ts';
import { ConfigurationError, DivergedError } from './errors.ts';
import type { InputBatch } from './input.ts';
import type { Trainer } from './trainer.ts';

/** Trains until the module's budget is spent or a stop is requested, then writes a checkpoint. */
export async function trainToBudget(trainer: Trainer): Promise<void> {
  const { checkpoints, peers, program, reporter } = trainer;
  const { stop, log } = trainer.options;
  if (!peers.budget.spent) reporter.enter('training');
  while (!peers.budget.spent && !stop.aborted) {
    await peers.follow(trainer.input, trainer.output);
    const batch = await trainer.next();
    if (batch === null) break;
    await trainOn(trainer, batch);
    await peers.averaging.average();
    await trainer.betweenSteps();
  }
  await peers.averaging.average({ now: true });
  // The result of a whole training is worth the wait for a full disk.
  if (!checkpoints.upToDate) await trainer.checkpoint({ tolerant: peers.budget.spent });
  log.info(
    { step: program.step, samples: peers.budget.own },
    checkpoints.upToDate
      ? 'checkpoint written; done training'
      : 'done training; checkpoint not written yet',
  );
}

async function trainOn(trainer: Trainer, batch: InputBatch): Promise<void> {
  const { options, peers, program, reporter } = trainer;
  const { batchSize, name, objective } = options.config;
  if (usesLabels(objective) && batch.labels.includes(-1)) {
    throw new ConfigurationError(
      `module ${name}: objective ${objective.type} needs labels, but some samples have none; use a labelled data set or infoNCE`,
    );
  }
  const producerStep = program.step;
  const began = performance.now();
  const { loss, activations } = program.run('train', {
    batch: batch.bytes,
    labels: batch.labels,
    seed: stepSeed(options.config, options.replica, producerStep),
  });
  const value = loss?.[0] ?? Number.NaN;
  if (!Number.isFinite(value)) throw diverged(trainer, value);
  await trainer.slowdown.after(performance.now() - began);
  if (activations) await trainer.send(batch, activations as Uint8Array, producerStep);
  batch.done();
  peers.budget.own += batchSize;
  reporter.meter.add({
    at: performance.now(),
    loss: value,
    samples: batchSize,
    stalenessSteps: batch.stalenessSteps,
    stalenessSeconds: batch.stalenessSeconds,
  });
}

const diverged = ({ options, program, checkpoints }: Trainer, loss: number): DivergedError =>
  new DivergedError(
    `module ${options.config.name}: loss is ${loss} at step ${program.step}; ${checkpoints.describe()}; try a smaller learning rate`,
  );
