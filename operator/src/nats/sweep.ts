import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { checkpointsIn, deleteStreams } from './streams.ts';

/** Finds streams that their run has left behind, as when it was deleted while NATS was away. */

/** The run that a stream says it is of. */
export interface StreamOwner {
  namespace: string;
  run: string;
}

/** What of a run may be left behind. */
export interface LeftBehind extends StreamOwner {
  /** Of checkpoints: the run that they are of, and of no other of its name. They are needed while it is there. */
  checkpointsOf?: string;
}

const OPERATOR = 'greedyinfomax.dev/operator';
const NAMESPACE = 'greedyinfomax.dev/namespace';
const RUN = 'greedyinfomax.dev/run';

/**
 * What is written on a stream, so that a sweep knows it again. `operator` is a name in the whole world:
 * operators of two clusters may share a NATS server, and none may take the other's streams.
 */
export const ownerMetadata = (
  operator: string,
  { namespace, run }: StreamOwner,
): Record<string, string> => ({ [OPERATOR]: operator, [NAMESPACE]: namespace, [RUN]: run });

/**
 * Deletes the streams that `operator` has made for runs that need them no more, and tells whose they were.
 * Streams without such a note, or with another's, stay, and so do checkpoints that outlive their run.
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
