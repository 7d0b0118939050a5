import {
  checkpointBucket,
  checkpointStream,
  controlSubject,
  type Edge,
  edgeSubject,
  inboxPrefix,
  type RunId,
  reportSubjects,
  shardConsumer,
  shardsOf,
  stateStream,
  stateSubjects,
} from '@greedy-infomax/crds';

/** Permissions of a NATS user; everything else is refused. */
export interface NatsPermissions {
  publish: string[];
  subscribe: string[];
}

/** A stream of the run, and what tells the consumers that read it. */
export type EdgeNames = Pick<Edge, 'stream' | 'consumer' | 'sampleBytes'>;

/**
 * Exactly what the trainers of a run need. They report, feed and read the run's own edges and hear what the
 * operator tells them. Streams and consumers are the operator's to make: of the JetStream API trainers get
 * the next messages, and the figures, of a consumer that exists, and the last messages that they have
 * themselves put into the run's stream of state. With `bucket` they also put, read and remove checkpoints in
 * the run's own bucket.
 */
export function trainerPermissions(
  run: RunId,
  edges: readonly EdgeNames[],
  { bucket }: { bucket: boolean },
): NatsPermissions {
  return {
    publish: [
      reportSubjects(run),
      edgeSubject(run, '*'),
      edgeSubject(run, '*.*'),
      stateSubjects(run),
      `$JS.API.DIRECT.GET.${stateStream(run)}`,
      `$JS.API.DIRECT.GET.${stateStream(run)}.${stateSubjects(run)}`,
      ...edges
        .flatMap(consumersOf)
        .flatMap(({ stream, consumer }) => [
          `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
          `$JS.API.CONSUMER.INFO.${stream}.${consumer}`,
          `$JS.ACK.${stream}.${consumer}.>`,
        ]),
      ...(bucket ? bucketSubjects(run) : []),
    ],
    subscribe: [controlSubject(run), `${inboxPrefix(run)}.>`],
  };
}

function consumersOf({ stream, consumer, sampleBytes }: EdgeNames) {
  const shards = shardsOf(sampleBytes);
  return Array.from({ length: shards }, (_, shard) => ({
    stream,
    consumer: shardConsumer(consumer, shard, shards),
  }));
}

/**
 * Reading is by direct requests alone. The object store of @nats-io/obj reads through consumers, and who may make
 * a consumer chooses the subject that the server sends the messages to.
 */
function bucketSubjects(run: RunId): string[] {
  const objects = `$O.${checkpointBucket(run)}`;
  const stream = checkpointStream(run);
  return [
    `${objects}.C.*`,
    `${objects}.M.*`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.${objects}.>`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.PURGE.${stream}`,
  ];
}
