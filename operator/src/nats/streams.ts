import { shardConsumer, shardSubject, shardsOf } from '@greedy-infomax/crds';
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

/** Makes the streams and consumers of a run be as planned, and removes them. */

const NANOSECONDS = 1e9;
/** How long the server remembers message ids: longer than a publisher keeps trying. */
const DUPLICATE_WINDOW_SECONDS = 30;
/** A request that a dying server took is never answered: the sooner it is given up, the sooner streams are back. */
const REQUEST_TIMEOUT_MS = 2000;

const manager = (connection: NatsConnection): Promise<JetStreamManager> =>
  jetstreamManager(connection, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });

/**
 * Creates what is missing and updates what differs; returns how many writes that took, 0 when all was
 * as planned. `metadata` is noted on each stream. Throws what the server answers when it refuses.
 */
export async function ensureStreams(
  connection: NatsConnection,
  streams: readonly (StreamPlan | StatePlan | BucketPlan)[],
  metadata: Record<string, string> = {},
): Promise<number> {
  const jsm = await manager(connection);
  // At once: the client sends what is asked in one turn as one packet. All are tried, also when one is refused.
  const each = await together(streams.map((stream) => ensure(jsm, stream, metadata)));
  return each.reduce((sum, writes) => sum + writes, 0);
}

/** Deletes the streams, and with them their consumers; those that are gone already are no error. */
export async function deleteStreams(
  connection: NatsConnection,
  streams: readonly Pick<StreamPlan, 'name'>[],
): Promise<void> {
  const jsm = await manager(connection);
  await Promise.all(streams.map(({ name }) => found(jsm.streams.delete(name))));
}

/** With its consumers; resolves with the number of writes. */
async function ensure(
  jsm: JetStreamManager,
  stream: StreamPlan | StatePlan | BucketPlan,
  metadata: Record<string, string>,
): Promise<number> {
  const done = await ensureStream(jsm, withMetadata(configOf(stream), metadata));
  const consumers = 'consumer' in stream ? consumerConfigs(stream) : [];
  // What was made just now has none.
  const made = await Promise.all(
    consumers.map((consumer) => ensureConsumer(jsm, stream.name, consumer, done === 'made')),
  );
  return made.filter(Boolean).length + (done === 'left' ? 0 : 1);
}

async function ensureStream(
  jsm: JetStreamManager,
  wanted: WantedStream,
): Promise<'left' | 'made' | 'updated'> {
  const current = await found(jsm.streams.info(wanted.name));
  if (current !== null && agrees(current.config, wanted)) return 'left';
  if (current !== null && !isFixed(current.config, wanted)) {
    await jsm.streams.update(wanted.name, wanted);
    return 'updated';
  }
  if (current !== null) await jsm.streams.delete(wanted.name);
  await jsm.streams.add(wanted);
  return 'made';
}

/**
 * Retention and storage cannot change on a stream that exists. What it holds can be made again, but for checkpoints:
 * there the server refuses the update.
 */
const isFixed = ({ retention, storage }: WantedStream, wanted: WantedStream): boolean =>
  (retention !== wanted.retention || storage !== wanted.storage) &&
  checkpointsIn(wanted.metadata) === undefined;

/** Whether that took a write. */
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
 * `dropOldest`: a ring, whose publisher never waits and whose reader skips to what is left. `block`: a
 * queue that hands out every message once and refuses more when it is full.
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

/** The last message of each subject, in a ring that forgets what trainers that have left wrote last. */
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

/** As the object store of @nats-io/obj makes it; its replicas are for whoever runs the server to change. */
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

/** Written on the stream behind a bucket of checkpoints: the uid of its run, and what becomes of it after the run. */
const UID = 'greedyinfomax.dev/uid';
const CHECKPOINTS = 'greedyinfomax.dev/checkpoints';
const RETAIN = 'retain';
const DELETE = 'delete';

/** What the metadata of a stream says of checkpoints in it; undefined if there are none. */
export function checkpointsIn(
  metadata: Record<string, string> = {},
): { uid: string; retain: boolean } | undefined {
  const { [UID]: uid, [CHECKPOINTS]: what } = metadata;
  return uid === undefined || what === undefined ? undefined : { uid, retain: what === RETAIN };
}

/** What `request` finds, or null when the server says that there is no such thing. */
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

/** Whether all that is wanted is so; what else the server filled in, metadata too, is its own business. */
function agrees<T extends object>(current: T, wanted: Partial<T>): boolean {
  return (Object.keys(wanted) as (keyof T)[]).every((key) => {
    const [is, should] = [current[key], wanted[key]];
    return key === 'metadata'
      ? agrees<object>(is ?? {}, should as object)
      : JSON.stringify(is) === JSON.stringify(should);
  });
}
