/**
 * Names that operator and trainer share. Names of runs, modules and namespaces are DNS labels ([a-z0-9-], at most 63
 * characters), so that `_` and `.` separate them without ambiguity.
 */

export const API_GROUP = 'greedyinfomax.dev';
export const API_VERSION = 'v1alpha1';

/** Namespace and name of a run. On one machine, the namespace is `local-` and the beginning of the uid. */
export interface RunKey {
  namespace: string;
  name: string;
}

/** Labels of all objects of a run. */
export const LABELS = {
  run: `${API_GROUP}/run`,
  module: `${API_GROUP}/module`,
  replica: `${API_GROUP}/replica`,
} as const;

/** Identity of a run, distinct from earlier and later runs of the same name. */
export interface RunId extends RunKey {
  uid: string;
}

/**
 * Returns the prefix of all subjects of a run. The uid keeps other runs from guessing it: NATS does not authorize reply
 * subjects, so a client with permission for any request can direct the answer to each subject that it knows.
 */
export const subjectPrefix = ({ namespace, name, uid }: RunId): string =>
  `gim.${namespace}.${name}.${uid}`;

/** Returns the subject of the encoded activations that `module` sends to the next one. */
export const edgeSubject = (run: RunId, module: string): string =>
  `${subjectPrefix(run)}.edge.${module}`;

/** Returns the name of the JetStream stream that buffers `edgeSubject`. */
export const edgeStream = ({ namespace, name }: RunKey, module: string): string =>
  `GIM_${namespace}_${name}_${module}`;

/** Returns the name of the durable pull consumer through which `module` reads its input. */
export const edgeConsumer = (module: string): string => module;

/** Return the subject and the consumer of a shard. A single shard has those of the edge. */
export const shardSubject = (subject: string, shard: number, shards: number): string =>
  shards === 1 ? subject : `${subject}.${shard}`;
export const shardConsumer = (consumer: string, shard: number, shards: number): string =>
  shards === 1 ? consumer : `${consumer}_${shard}`;

/** Returns the name of the stream with the last message of each of `stateSubjects`, the shared state of replicas. */
export const stateStream = ({ namespace, name }: RunKey): string => `GIM_${namespace}_${name}`;
export const stateSubjects = (run: RunId): string => `${subjectPrefix(run)}.state.>`;

/**
 * Return the NATS object store bucket for the checkpoints of a run, and the stream of the bucket. Subjects of the stream
 * start with $O and not with `subjectPrefix`, so the name contains the uid for the same reason.
 */
export const checkpointBucket = ({ namespace, name, uid }: RunId): string =>
  `gim_${namespace}_${name}_${uid}`;
export const checkpointStream = (run: RunId): string => `OBJ_${checkpointBucket(run)}`;

/** Returns the subject of the next position in the data set, which several replicas share. */
export const positionSubject = (run: RunId, module: string): string =>
  `${subjectPrefix(run)}.state.position.${module}`;

/** Returns the subject of a part of the newest weights of a replica. */
export const weightsSubject = (run: RunId, module: string, replica: number, part: number): string =>
  `${subjectPrefix(run)}.state.weights.${module}.${replica}.${part}`;

/** Returns the subject of a replica's reports (core NATS, `Report` as JSON). */
export const reportSubject = (run: RunId, module: string, replica: number): string =>
  `${subjectPrefix(run)}.report.${module}.${replica}`;

/** Return the subjects of all reports of a run, and of a namespace; '*' for all namespaces. */
export const reportSubjects = (run: RunId): string => `${subjectPrefix(run)}.report.*.*`;
export const reportsOfNamespace = (namespace: string): string => `gim.${namespace}.*.*.report.*.*`;

/** Returns the subject of the operator's instructions to trainers (core NATS, `Control` as JSON, repeated). */
export const controlSubject = (run: RunId): string => `${subjectPrefix(run)}.control`;

/** Returns the prefix of a trainer's reply subjects. Permissions keep other runs from subscribing to them. */
export const inboxPrefix = ({ namespace, name }: RunKey): string => `_INBOX_${namespace}_${name}`;

/**
 * Exit codes of a trainer. Codes from 64 on are final: another attempt would fail in the same way, so neither a restart
 * loop nor a Job should make one.
 */
export const EXIT = {
  /** The budget is spent, and no later module needs the trainer. */
  ok: 0,
  /** The trainer was stopped by a signal before its budget was spent, and has written a checkpoint. */
  stopped: 2,
  /** Failure that a restart from the newest checkpoint may fix. */
  retry: 1,
  /** The configuration or the data is invalid. */
  configuration: 64,
  /** The loss is not a finite number. */
  diverged: 65,
} as const;

/** Exit codes that are not retried. */
export const FINAL_EXIT_CODES: readonly number[] = [EXIT.configuration, EXIT.diverged];
