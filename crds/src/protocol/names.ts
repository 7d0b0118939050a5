/**
 * Names that operator and trainer share. A run, its modules and its namespace are DNS labels
 * ([a-z0-9-], at most 63 characters), so `_` and `.` separate them without ambiguity.
 */

export const API_GROUP = 'greedyinfomax.dev';
export const API_VERSION = 'v1alpha1';

/** What names a run everywhere: on one machine the namespace is `local`. */
export interface RunKey {
  namespace: string;
  name: string;
}

/** Labels on everything that a run owns. */
export const LABELS = {
  run: `${API_GROUP}/run`,
  module: `${API_GROUP}/module`,
  replica: `${API_GROUP}/replica`,
} as const;

/** A run and no other of its name, be it earlier or later. */
export interface RunId extends RunKey {
  uid: string;
}

/**
 * All subjects of a run lie below this prefix. The uid makes it one that other runs cannot guess: whom a
 * server answers it does not check, so a client that may ask for anything can have the answer sent to any
 * subject that it knows.
 */
export const subjectPrefix = ({ namespace, name, uid }: RunId): string =>
  `gim.${namespace}.${name}.${uid}`;

/** Encoded activations that a module sends to the next one. */
export const edgeSubject = (run: RunId, module: string): string =>
  `${subjectPrefix(run)}.edge.${module}`;

/** The JetStream stream that buffers `edgeSubject`. */
export const edgeStream = ({ namespace, name }: RunKey, module: string): string =>
  `GIM_${namespace}_${name}_${module}`;

/** The durable pull consumer through which a module reads the stream before it. */
export const edgeConsumer = (module: string): string => module;

/** Subject and consumer of one of an edge's `shards`; with one alone they are those of the edge itself. */
export const shardSubject = (subject: string, shard: number, shards: number): string =>
  shards === 1 ? subject : `${subject}.${shard}`;
export const shardConsumer = (consumer: string, shard: number, shards: number): string =>
  shards === 1 ? consumer : `${consumer}_${shard}`;

/** The stream that holds the last message of each subject below `stateSubjects`: what trainers of a module share. */
export const stateStream = ({ namespace, name }: RunKey): string => `GIM_${namespace}_${name}`;
export const stateSubjects = (run: RunId): string => `${subjectPrefix(run)}.state.>`;

/**
 * The bucket of the NATS object store that holds the checkpoints of a run, and the stream behind it. Its subjects
 * begin with $O, so the uid is in its name, for the reason that it is in `subjectPrefix`.
 */
export const checkpointBucket = ({ namespace, name, uid }: RunId): string =>
  `gim_${namespace}_${name}_${uid}`;
export const checkpointStream = (run: RunId): string => `OBJ_${checkpointBucket(run)}`;

/** Which sample of the data set comes next, where several trainers read it. */
export const positionSubject = (run: RunId, module: string): string =>
  `${subjectPrefix(run)}.state.position.${module}`;

/** A part of the newest weights that a replica has published. */
export const weightsSubject = (run: RunId, module: string, replica: number, part: number): string =>
  `${subjectPrefix(run)}.state.weights.${module}.${replica}.${part}`;

/** Where a replica tells how its training goes (core NATS, `Report` as JSON). */
export const reportSubject = (run: RunId, module: string, replica: number): string =>
  `${subjectPrefix(run)}.report.${module}.${replica}`;

/** Every report of a run, and of all runs of a namespace; '*' means all namespaces. */
export const reportSubjects = (run: RunId): string => `${subjectPrefix(run)}.report.*.*`;
export const reportsOfNamespace = (namespace: string): string => `gim.${namespace}.*.*.report.*.*`;

/** Where the operator tells trainers what to do (core NATS, `Control` as JSON, repeated). */
export const controlSubject = (run: RunId): string => `${subjectPrefix(run)}.control`;

/** Answers to a trainer's requests come below it, so that no other run can listen to them. */
export const inboxPrefix = ({ namespace, name }: RunKey): string => `_INBOX_${namespace}_${name}`;

/**
 * How a trainer process ends. Codes from 64 on are final: a new attempt would end the same way, so
 * neither a restart loop nor a Job's backoff should try one.
 */
export const EXIT = {
  /** The budget is spent and every later module is done, or a clean stop was asked for. */
  ok: 0,
  /** Stopped by a signal before the budget was spent; a checkpoint is written. */
  stopped: 2,
  /** Anything that a restart from the last checkpoint may mend. */
  retry: 1,
  /** The configuration or the data cannot work. */
  configuration: 64,
  /** The loss is not a finite number. */
  diverged: 65,
} as const;

/** Codes that must not be retried. */
export const FINAL_EXIT_CODES: readonly number[] = [EXIT.configuration, EXIT.diverged];
