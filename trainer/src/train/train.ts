import { join } from 'node:path';
import type { TrainedEnding } from '@greedy-infomax/crds';
import { ControlChannel } from './control-channel.ts';
import { forwardUntilReleased } from './forwarding.ts';
import type { TrainerOptions } from './options.ts';
import { Reporter } from './reporter.ts';
import { closeParts, factsOf, openTrainer, type TrainerParts } from './trainer.ts';
import { trainToBudget } from './training.ts';

/**
 * Trains one replica of one module until its budget is spent, then forwards activations until the operator releases the
 * module. Returns how the training ended; null if it was stopped before it began.
 * @throws DivergedError if the loss is not finite
 * @throws ConfigurationError if the configuration cannot work
 */
export async function train(options: TrainerOptions): Promise<TrainedEnding | null> {
  const { log, out, stop } = options;
  // Waits for the server as long as it takes, unless a stop is requested.
  const channel = await Promise.race([openChannel(options), aborted(stop)]);
  if (channel === null) return null;
  const parts: Partial<TrainerParts> = {};
  const reporter = new Reporter(options, channel, join(out, 'history.jsonl'), () => factsOf(parts));
  try {
    const trainer = await openTrainer(options, channel, reporter, parts);
    await trainToBudget(trainer);
    await forwardUntilReleased(trainer);
    return trainer.ending;
  } catch (error) {
    log.error({ err: error }, 'training failed');
    reporter.fail(error as Error);
    throw error;
  } finally {
    await closeParts(parts, reporter);
    await channel.close();
  }
}

const openChannel = ({ config, nats, replica }: TrainerOptions): Promise<ControlChannel> =>
  ControlChannel.open({
    ...nats,
    run: { ...config.run, uid: config.uid },
    module: config.name,
    replica,
  });

const aborted = (signal: AbortSignal): Promise<null> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
