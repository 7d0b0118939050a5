import { setTimeout as sleep } from 'node:timers/promises';
import { FORWARD_PAUSE } from '@greedy-infomax/crds';
import type { Trainer } from './trainer.ts';

/**
 * Forwards activations of a module that has spent its budget, until every later module has spent its own. Then retries
 * the last checkpoint until it is written. Returns at once if the budget is not spent.
 */
export async function forwardUntilReleased(trainer: Trainer): Promise<void> {
  const { input, output, peers, program, reporter, slowdown } = trainer;
  const { stop } = trainer.options;
  if (!peers.budget.spent) return;
  if (output) reporter.enter('forwarding');
  while (!stop.aborted && output && !trainer.released) {
    await peers.follow(input, output);
    if (await output.isAhead()) await sleep(FORWARD_PAUSE);
    else {
      // A sample that was used before would give the same activations again.
      const batch = await trainer.next({ unused: true });
      if (batch === null) break;
      const began = performance.now();
      const { activations } = program.run('forward', { batch: batch.bytes });
      await slowdown.after(performance.now() - began);
      await trainer.send(batch, activations as Uint8Array);
      batch.done();
    }
    await trainer.betweenSteps();
  }
  await saveLastCheckpoint(trainer);
  trainer.finish();
}

/** Retries until the last checkpoint is written. After a stop, one more attempt throws its error. */
async function saveLastCheckpoint(trainer: Trainer): Promise<void> {
  const { checkpoints } = trainer;
  const { stop } = trainer.options;
  while (!checkpoints.upToDate && !stop.aborted) {
    await sleep(FORWARD_PAUSE);
    await trainer.betweenSteps();
  }
  if (!checkpoints.upToDate) await trainer.checkpoint();
}
