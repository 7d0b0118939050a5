import type { Logger } from 'pino';
import { ApiError, type Client, isGone } from '../kube/client.ts';
import type { Clock } from '../kube/clock.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import { JOBS, RUNS, type RunObject } from '../kube/resource.ts';
import type { Applier } from '../kube/server-side-apply.ts';
import { cleanupOf } from '../plan/kubernetes/cleanup.ts';
import { FINALIZER } from '../plan/kubernetes/names.ts';
import type { PlanOptions } from '../plan/kubernetes/types.ts';
import type { Children } from './caches.ts';
import { asNote, asObjects, asObserved, asRun } from './planner-types.ts';
import type { RunStreams } from './run-streams.ts';

/**
 * What a run takes along when it is deleted and the garbage collector does not know of: its streams, and its
 * checkpoints if it is not to keep them. A finalizer holds it until then.
 */

/** Seconds between looks at a run that waits for its checkpoints to be removed. */
const LOOK_AGAIN = 5;

export interface DeletionOptions {
  client: Client;
  applier: Applier;
  recorder: EventRecorder;
  streams: RunStreams;
  plan: PlanOptions;
  log: Logger;
  clock: Clock;
}

export class Deletion {
  readonly #options: DeletionOptions;

  constructor(options: DeletionOptions) {
    this.#options = options;
  }

  /** Has the run held when it is deleted; resolves with the run as it is then. */
  async hold(run: RunObject): Promise<RunObject> {
    const { finalizers = [] } = run.metadata;
    return finalizers.includes(FINALIZER)
      ? run
      : this.#setFinalizers(run, [...finalizers, FINALIZER]);
  }

  /** Lets a deleted run go when nothing holds it any longer, else resolves with the seconds to wait. */
  async release(run: RunObject, children: Children): Promise<number | undefined> {
    const { finalizers = [] } = run.metadata;
    if (!finalizers.includes(FINALIZER)) return undefined;
    if (!(await this.#cleanUp(run, children))) return LOOK_AGAIN;
    // NATS gone for good must not keep the run.
    await this.#options.streams.delete(run);
    const others = finalizers.filter((finalizer) => finalizer !== FINALIZER);
    await this.#setFinalizers(run, others).catch((error: unknown) => {
      // The cache is behind: the run is gone already.
      if (!isGone(error)) throw error;
    });
    return undefined;
  }

  /** Whether the checkpoints are gone, or stay. */
  async #cleanUp(run: RunObject, children: Children): Promise<boolean> {
    const { client, applier, recorder, clock, plan, log } = this.#options;
    const observed = asObserved(children, []);
    const { apply, remove, done, event } = cleanupOf(asRun(run), observed, clock.date(), plan);
    for (const { namespace, name, uid } of remove) await client.delete(JOBS, namespace, name, uid);
    if (event) recorder.record(run, asNote(event));
    try {
      for (const job of asObjects(apply ? [apply] : [])) await applier.apply(JOBS, job, undefined);
      return done;
    } catch (error) {
      // Nothing can be made in a namespace that is being deleted.
      if (!(error instanceof ApiError) || error.status !== 403) throw error;
      log.warn({ err: error, run: run.metadata.name }, 'could not remove the checkpoints');
      return true;
    }
  }

  #setFinalizers(run: RunObject, finalizers: string[]): Promise<RunObject> {
    const { namespace = '', name, resourceVersion } = run.metadata;
    const body = { metadata: { finalizers, resourceVersion } };
    return this.#options.client.patch(RUNS, namespace, name, 'merge', body);
  }
}
