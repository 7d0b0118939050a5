import type { Client } from '../../operator/src/kube/client.ts';
import { JOBS, type JobObject, pathOf } from '../../operator/src/kube/resource.ts';

/** Watches Jobs and reports when an owner has all of its Jobs. */

/** The Jobs of an owner were not created in time. */
class MissingJobsError extends Error {
  override readonly name = 'MissingJobsError';
}

export class JobWatch {
  /** Created Jobs by owner. */
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Map<string, { count: number; then: (at: number) => void }>();
  readonly #stop = new AbortController();
  total = 0;

  /** `label`: label of each Job that names its owner. */
  constructor(client: Client, namespace: string, label: string) {
    void this.#watch(client, namespace, label);
  }

  /** Resolves with the time (of `performance.now()`) at which the owner had `count` Jobs. */
  async until(owner: string, count: number, seconds: number): Promise<number> {
    if ((this.#counts.get(owner) ?? 0) >= count) return performance.now();
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<number>((then, reject) => {
        this.#waiting.set(owner, { count, then });
        const late = () =>
          reject(
            new MissingJobsError(
              `${owner} has ${this.#counts.get(owner) ?? 0} of ${count} Jobs after ${seconds} s`,
            ),
          );
        timer = setTimeout(late, 1000 * seconds);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#stop.abort();
  }

  async #watch(client: Client, namespace: string, label: string): Promise<void> {
    const query = { watch: 'true', labelSelector: label };
    const path = pathOf(JOBS, namespace);
    try {
      for await (const line of client.lines(path, {
        query,
        idleSeconds: 3600,
        signal: this.#stop.signal,
      })) {
        const { type, object } = JSON.parse(line) as { type: string; object: JobObject };
        if (type === 'ADDED') this.#came(object.metadata.labels?.[label] ?? '');
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  #came(owner: string): void {
    const count = (this.#counts.get(owner) ?? 0) + 1;
    this.#counts.set(owner, count);
    this.total += 1;
    const waiting = this.#waiting.get(owner);
    if (!waiting || count < waiting.count) return;
    this.#waiting.delete(owner);
    waiting.then(performance.now());
  }
}
