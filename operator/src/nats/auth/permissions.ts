import {
  controlSubject,
  type Edge,
  edgeSubject,
  inboxPrefix,
  type RunId,
  reportSubjects,
} from '@greedy-infomax/crds';

/** What a user of NATS may do; all else is refused. */
export interface NatsPermissions {
  publish: string[];
  subscribe: string[];
}

/** A stream of the run and the consumer that reads it. */
export type EdgeNames = Pick<Edge, 'stream' | 'consumer'>;

/**
 * Exactly what the trainers of a run need. They report, feed and read the run's own edges and hear what the
 * operator tells them. Streams and consumers are the operator's to make: of the JetStream API trainers get
 * the next messages, and the figures, of a consumer that exists.
 */
export function trainerPermissions(run: RunId, edges: readonly EdgeNames[]): NatsPermissions {
  return {
    publish: [
      reportSubjects(run),
      edgeSubject(run, '*'),
      ...edges.flatMap(({ stream, consumer }) => [
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
        `$JS.API.CONSUMER.INFO.${stream}.${consumer}`,
        `$JS.ACK.${stream}.${consumer}.>`,
      ]),
    ],
    subscribe: [controlSubject(run), `${inboxPrefix(run)}.>`],
  };
}
