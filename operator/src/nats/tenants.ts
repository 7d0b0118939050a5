import type { NatsConnection } from '@nats-io/transport-node';
import type { NatsPermissions } from '../plan/nats-permissions.ts';

/**
 * NATS as the controller uses it. Runs of one namespace share a connection, and an account if there are
 * several.
 */

/** A run and the NATS storage that its streams reserve. */
export interface RunNeeds {
  namespace: string;
  uid: string;
  /** Sum of the sizes of its streams in memory. */
  memoryBytes: number;
  /** True if the run keeps checkpoints in the object store. */
  files: boolean;
}

export interface TrainerUser {
  namespace: string;
  uid: string;
  /** Name shown in NATS's monitoring. */
  name: string;
  permissions: NatsPermissions;
  /** Generation of the credentials; a higher one revokes all lower ones. */
  generation: number;
}

/** The limits of the namespace's account, or of the NATS server, leave no room for the run. */
export class NatsLimitError extends Error {
  override readonly name = 'NatsLimitError';
}

export interface ConnectionEvents {
  /**
   * Called after the first connection and after each reconnection; `namespace` is undefined if all namespaces
   * share it.
   */
  onConnected(connection: NatsConnection, namespace: string | undefined, isNew: boolean): void;
  /** Called with whether NATS can be reached. */
  onState(connected: boolean): void;
}

export interface NatsTenants {
  /** Connects, and reconnects until `signal` is aborted. Called once. */
  start(events: ConnectionEvents, signal: AbortSignal): void;
  /** Returns the connection for runs of the namespace; null while there is none. */
  connection(namespace: string): NatsConnection | null;
  /** Returns the connection, opening it first if necessary; null if that takes longer than a few seconds. */
  open(namespace: string): Promise<NatsConnection | null>;
  /**
   * Grants the storage that the run needs. Resolves with a function that takes back what was added, in case
   * the server has no room: the storage of the namespace's other runs must not depend on it.
   * @throws NatsLimitError
   */
  admit(run: RunNeeds): Promise<() => Promise<void>>;
  /** Takes back the storage of a run that no longer needs any. */
  release(run: { namespace: string; uid: string }): Promise<void>;
  /** Refuses the run's credentials of the generations below `below`. */
  revoke(run: { namespace: string; uid: string }, below: number): Promise<void>;
  /** Seconds for which credentials are valid; undefined: forever; null: trainers get none. */
  readonly lifetimeSeconds: number | undefined | null;
  /** Returns the text of a credentials file. Call it only if `lifetimeSeconds` is not null. */
  mint(user: TrainerUser): Promise<string>;
  /**
   * Returns the namespaces that may hold streams. `all` includes those without runs, as after a restart.
   * Undefined stands for a connection shared by all.
   */
  namespaces(all: boolean): Promise<(string | undefined)[]>;
  /**
   * Takes back the storage of runs that no longer exist; `isThere` looks them up by uid. Closes the connection
   * of a namespace without runs, and deletes its account if that holds no stream.
   */
  settle(namespace: string, isThere: (uid: string) => boolean): Promise<void>;
  close(): Promise<void>;
}
