import {
  answered,
  isUnanswered,
  shardConsumer,
  shardSubject,
  shardsOf,
} from '@greedy-infomax/crds';
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { together } from '../kube/settle-all.ts';
import type { BucketPlan, StatePlan, StreamPlan } from '../plan/run.ts';

/** Creates, updates and deletes the streams and consumers of a run as planned. */

const NANOSECONDS = 1e9;
/** Seconds for which the server remembers message ids; longer than a publisher retries. */
const DUPLICATE_WINDOW_SECONDS = 30;
/** Timeout of a request. A dying server never answers, and a short timeout brings streams back sooner. */
const REQUEST_TIMEOUT_MS = 2000;

const manager = (connection: NatsConnection): Promise<JetStreamManager> =>
  jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });

/**
 * Creates missing streams and updates those that differ. Resolves with the number of writes, 0 if all were as
 * planned. `metadata` is noted on each stream. Throws the server's error when it refuses; where it has no room
 * for one of them, all are left as they were, so that none reserves storage for a run that cannot start.
 */
export async function ensureStreams(
  connection: NatsConnection,
  streams: readonly (StreamPlan | StatePlan | BucketPlan)[],
  metadata: Record<string, string> = {},
): Promise<number> {
  const jsm = await manager(connection);
  // Concurrent, because the client packs all requests of one event loop turn into one packet. All are tried,
  // even if one is refused.
  const undo: Undo[] = [];
  try {
    const ensured = streams.map((stream) => answered(() => ensure(jsm, stream, metadata, undo)));
    const writes = await together(ensured);
    return writes.reduce((sum, each) => sum + each, 0);
  } catch (error) {
    if (isLimit(error)) await Promise.allSettled(undo.map(answered));
    throw error;
  }
}

/** Restores a stream as it was. */
type Undo = () => Promise<unknown>;

/** JetStream error codes: memory, disk, streams or consumers of the account or the server are used up. */
const LIMIT_CODES: readonly number[] = [10028, 10047, 10027, 10026, 10039];

/**
 * Reports whether NATS has no room for a stream. The server does not enable JetStream for an account whose
 * storage it does not have.
 */
export const isLimit = (error: unknown): boolean =>
  isUnanswered(error) || (error instanceof JetStreamApiError && LIMIT_CODES.includes(error.code));

/** Deletes the streams and their consumers. Streams that do not exist are not an error. */
export async function deleteStreams(
  connection: NatsConnection,
  streams: readonly Pick<StreamPlan, 'name'>[],
): Promise<void> {
  const jsm = await manager(connection);
  await Promise.all(streams.map(({ name }) => answered(() => found(jsm.streams.delete(name)))));
}

/** Ensures one stream with its consumers. Resolves with the number of writes. */
async function ensure(
  jsm: JetStreamManager,
  stream: StreamPlan | StatePlan | BucketPlan,
  metadata: Record<string, string>,
  undo: Undo[],
): Promise<number> {
  const done = await ensureStream(jsm, withMetadata(configOf(stream), metadata), undo);
  const consumers = 'consumer' in stream ? consumerConfigs(stream) : [];
  // A stream that was just created has no consumers.
  const made = await Promise.all(
    consumers.map((consumer) => ensureConsumer(jsm, stream.name, consumer, done === 'made')),
  );
  return made.filter(Boolean).length + (done === 'left' ? 0 : 1);
}

async function ensureStream(
  jsm: JetStreamManager,
  wanted: WantedStream,
  undo: Undo[],
): Promise<'left' | 'made' | 'updated'> {
  const current = await found(jsm.streams.info(wanted.name));
  if (current !== null && agrees(current.config, wanted)) return 'left';
  if (current !== null && !isFixed(current.config, wanted)) {
    await jsm.streams.update(wanted.name, wanted);
    undo.push(() => jsm.streams.update(wanted.name, current.config));
    return 'updated';
  }
  if (current !== null) await jsm.streams.delete(wanted.name);
  await jsm.streams.add(wanted);
  undo.push(() => jsm.streams.delete(wanted.name));
  return 'made';
}

/**
 * Reports whether a stream must be recreated, because its retention or storage differ and cannot change.
 * Streams of checkpoints are never recreated; there the server refuses the update.
 */
const isFixed = ({ retention, storage }: WantedStream, wanted: WantedStream): boolean =>
  (retention !== wanted.retention || storage !== wanted.storage) &&
  checkpointsIn(wanted.metadata) === undefined;

/** Ensures one consumer. Resolves with whether that took a write. */
async function ensureConsumer(
  jsm: JetStreamManager,
  stream: string,
  wanted: WantedConsumer,
  isNew: boolean,
): Promise<boolean> {
  const current = isNew ? null : await found(jsm.consumers.info(stream, wanted.durable_name));
  if (current !== null && agrees(current.config, wanted)) return false;
  if (current === null) await jsm.consumers.add(stream, wanted);
  else await jsm.consumers.update(stream, wanted.durable_name, wanted);
  return true;
}

type WantedStream = Partial<StreamConfig> & Pick<StreamConfig, 'name' | 'retention' | 'storage'>;
type WantedConsumer = Partial<ConsumerConfig> & { durable_name: string };

/**
 * Returns the configuration of an edge's stream. `dropOldest` is a ring: its publisher never waits, and its
 * reader skips to the remaining messages. `block` is a queue that delivers every message once and refuses more
 * when it is full.
 */
function edgeConfig(stream: StreamPlan): WantedStream {
  const block = stream.whenFull === 'block';
  return {
    name: stream.name,
    subjects: [shardsOf(stream.sampleBytes) === 1 ? stream.subject : `${stream.subject}.*`],
    storage: StorageType.Memory,
    num_replicas: 1,
    retention: block ? RetentionPolicy.Workqueue : RetentionPolicy.Limits,
    discard: block ? DiscardPolicy.New : DiscardPolicy.Old,
    max_bytes: stream.maxBytes,
    max_msgs: stream.maxMessages,
    max_msg_size: stream.maxMessageBytes,
    duplicate_window: DUPLICATE_WINDOW_SECONDS * NANOSECONDS,
    allow_direct: true,
  };
}

/**
 * Keeps the last message of each subject, in a ring that discards the last messages of trainers that have
 * left.
 */
function stateConfig({ name, subjects, maxBytes, maxMessageBytes }: StatePlan): WantedStream {
  return {
    name,
    subjects: [subjects],
    storage: StorageType.Memory,
    num_replicas: 1,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_bytes: maxBytes,
    max_msgs_per_subject: 1,
    max_msg_size: maxMessageBytes,
    allow_direct: true,
  };
}

/**
 * Same configuration as the object store of @nats-io/obj. Its replicas are left to the administrator of the
 * server.
 */
function bucketConfig({ name, bucket, uid, retain }: BucketPlan): WantedStream {
  return {
    name,
    subjects: [`$O.${bucket}.C.>`, `$O.${bucket}.M.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    allow_rollup_hdrs: true,
    allow_direct: true,
    metadata: { [UID]: uid, [CHECKPOINTS]: retain ? RETAIN : DELETE },
  };
}

function configOf(stream: StreamPlan | StatePlan | BucketPlan): WantedStream {
  if ('bucket' in stream) return bucketConfig(stream);
  return 'consumer' in stream ? edgeConfig(stream) : stateConfig(stream);
}

const withMetadata = (config: WantedStream, metadata: Record<string, string>): WantedStream => ({
  ...config,
  metadata: { ...config.metadata, ...metadata },
});

function consumerConfigs({ consumer, subject, sampleBytes }: StreamPlan): WantedConsumer[] {
  const shards = shardsOf(sampleBytes);
  return Array.from({ length: shards }, (_, shard) => ({
    durable_name: shardConsumer(consumer.name, shard, shards),
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: consumer.ackWaitSeconds * NANOSECONDS,
    max_ack_pending: consumer.maxAckPending,
    ...(shards > 1 && { filter_subject: shardSubject(subject, shard, shards) }),
  }));
}

/**
 * Metadata keys of the stream behind a bucket of checkpoints: the uid of its run, and whether checkpoints are
 * kept after the run.
 */
const UID = 'greedyinfomax.dev/uid';
const CHECKPOINTS = 'greedyinfomax.dev/checkpoints';
const RETAIN = 'retain';
const DELETE = 'delete';

/** Returns what the metadata of a stream says about its checkpoints; undefined if it has none. */
export function checkpointsIn(
  metadata: Record<string, string> = {},
): { uid: string; retain: boolean } | undefined {
  const { [UID]: uid, [CHECKPOINTS]: what } = metadata;
  return uid === undefined || what === undefined ? undefined : { uid, retain: what === RETAIN };
}

/** Resolves with the result of `request`, or null when the server reports that the item does not exist. */
async function found<T>(request: Promise<T>): Promise<T | null> {
  try {
    return await request;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const codes: number[] = [JetStreamApiCodes.StreamNotFound, JetStreamApiCodes.ConsumerNotFound];
  return error instanceof JetStreamApiError && codes.includes(error.code);
}

/**
 * Reports whether all wanted fields have the wanted values. Other fields and metadata that the server filled
 * in are ignored.
 */
function agrees<T extends object>(current: T, wanted: Partial<T>): boolean {
  return (Object.keys(wanted) as (keyof T)[]).every((key) => {
    const [is, should] = [current[key], wanted[key]];
    return key === 'metadata'
      ? agrees<object>(is ?? {}, should as object)
      : JSON.stringify(is) === JSON.stringify(should);
  });
}
