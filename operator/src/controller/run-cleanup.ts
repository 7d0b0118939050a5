import { LABELS } from '@greedy-infomax/crds';
import type { V1Job } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { ApiError, type Client, isConflict, isGone } from '../kube/client.ts';
import { JOBS, RUNS, type RunObject } from '../kube/resource.ts';
import type { Applier } from '../kube/server-side-apply.ts';
import {
  cleanupName,
  formerCleanups,
  haveFormerEnded,
  plannedCleanup,
} from '../plan/kubernetes/cleanup.ts';
import { FORMER_FINALIZER } from '../plan/kubernetes/names.ts';
import type { PlanOptions } from '../plan/kubernetes/types.ts';
import type { Children } from './caches.ts';
import { asObjects, asObserved, asRun } from './planner-types.ts';

/**
 * Seconds between checks of trainers that must end before their checkpoints are removed, if no change is
 * observed.
 */
const LOOK_AGAIN = 30;

export interface RunCleanupOptions {
  client: Client;
  applier: Applier;
  plan: PlanOptions;
  log: Logger;
}

/**
 * Removes what the garbage collector does not: checkpoints of runs that are gone. It does not block the
 * deletion of a run.
 */
export class RunCleanup {
  readonly #options: RunCleanupOptions;

  constructor(options: RunCleanupOptions) {
    this.#options = options;
  }

  /**
   * Starts the clean-up Jobs of runs that are gone. `run` is the run that has their name now, if any. Resolves
   * with the seconds until the next check, undefined when nothing is left to start.
   * @throws ApiError, UnreachableError
   */
  async startFormer(children: Children, run?: RunObject): Promise<number | undefined> {
    const observed = asObserved(children, []);
    const waiting = formerCleanups(observed.jobs, run && asRun(run)).filter(
      ({ spec }) => spec?.suspend === true,
    );
    if (waiting.length === 0) return undefined;
    if (!haveFormerEnded(observed, run?.metadata.uid)) return LOOK_AGAIN;
    for (const job of waiting) await this.#start(job, run);
    return undefined;
  }

  /**
   * Removes the finalizer that an earlier version of the operator put on a run, after creating its clean-up
   * Job. Resolves with the updated run.
   */
  async release(run: RunObject, children: Children): Promise<RunObject> {
    const { finalizers = [], namespace = '', name, resourceVersion } = run.metadata;
    if (!finalizers.includes(FORMER_FINALIZER)) return run;
    const { applier, client, plan, log } = this.#options;
    const { apply } = plannedCleanup(asRun(run), asObserved(children, []).jobs, plan);
    try {
      for (const job of asObjects(apply)) await applier.apply(JOBS, job, undefined);
    } catch (error) {
      // A namespace that is being deleted accepts no new objects.
      if (!(error instanceof ApiError) || error.status !== 403) throw error;
      log.warn({ err: error, run: name }, 'cannot remove the checkpoints of the run');
    }
    const others = finalizers.filter((finalizer) => finalizer !== FORMER_FINALIZER);
    const body = { metadata: { finalizers: others, resourceVersion } };
    try {
      return await client.patch(RUNS, namespace, name, 'merge', body);
    } catch (error) {
      if (isGone(error)) return run; // the cache is behind
      throw error;
    }
  }

  /** Asks the API server whether the run is gone, because the cache may lag behind. */
  async #start({ metadata }: V1Job, current: RunObject | undefined): Promise<void> {
    const { client, log } = this.#options;
    const { namespace = '', name = '', uid, labels } = metadata ?? {};
    const run = labels?.[LABELS.run] ?? '';
    const there = current ?? (await client.get(RUNS, namespace, run));
    if (there && cleanupName(asRun(there)) === name) return;
    try {
      const body = { metadata: { uid }, spec: { suspend: false } };
      await client.patch(JOBS, namespace, name, 'merge', body);
      log.info({ namespace, run, job: name }, 'removing the checkpoints of a run that is gone');
    } catch (error) {
      if (!isGone(error) && !isConflict(error)) throw error;
    }
  }
}
