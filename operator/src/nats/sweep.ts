import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { checkpointsIn, deleteStreams } from './streams.ts';

/** Finds streams that outlive their run, for example when it was deleted while NATS was unreachable. */

/** The run that a stream's metadata names as its owner. */
export interface StreamOwner {
  namespace: string;
  run: string;
}

/** A run whose streams may be left over. */
export interface LeftBehind extends StreamOwner {
  /**
   * Uid of the run that checkpoints belong to; unset for other streams. They are needed as long as that run
   * exists.
   */
  checkpointsOf?: string;
}

const OPERATOR = 'greedyinfomax.dev/operator';
const NAMESPACE = 'greedyinfomax.dev/namespace';
const RUN = 'greedyinfomax.dev/run';

/**
 * Metadata noted on a stream, so that a sweep recognizes it. `operator` is a globally unique name: operators
 * of two clusters may share a NATS server, and neither may delete the other's streams.
 */
export const ownerMetadata = (
  operator: string,
  { namespace, run }: StreamOwner,
): Record<string, string> => ({ [OPERATOR]: operator, [NAMESPACE]: namespace, [RUN]: run });

/**
 * Deletes the streams that `operator` made for runs that no longer need them. Resolves with their runs.
 * Streams without this metadata or of another operator stay, and so do checkpoints that outlive their run.
 */
export async function sweepStreams(
  connection: NatsConnection,
  operator: string,
  isNeeded: (left: LeftBehind) => Promise<boolean>,
): Promise<StreamOwner[]> {
  const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: 5000 });
  const byOwner = new Map<string, { owner: LeftBehind; streams: { name: string }[] }>();
  for await (const { config } of jsm.streams.list()) {
    const { [OPERATOR]: by, [NAMESPACE]: namespace, [RUN]: run } = config.metadata ?? {};
    if (by !== operator || namespace === undefined || run === undefined) continue;
    const checkpoints = checkpointsIn(config.metadata);
    if (checkpoints?.retain) continue;
    const key = `${namespace}/${run}/${checkpoints?.uid ?? ''}`;
    const owner = { namespace, run, ...(checkpoints && { checkpointsOf: checkpoints.uid }) };
    const entry = byOwner.get(key) ?? { owner, streams: [] };
    byOwner.set(key, entry);
    entry.streams.push({ name: config.name });
  }
  const swept: StreamOwner[] = [];
  for (const { owner, streams } of byOwner.values()) {
    if (await isNeeded(owner)) continue;
    await deleteStreams(connection, streams);
    swept.push({ namespace: owner.namespace, run: owner.run });
  }
  return swept;
}
