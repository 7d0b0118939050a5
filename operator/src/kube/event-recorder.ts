import type { Logger } from 'pino';
import { hash } from '../plan/kubernetes/objects.ts';
import { type Client, isAlreadyThere, isGone } from './client.ts';
import { type Clock, systemClock } from './clock.ts';
import { EVENTS, type KubeObject, microTime } from './resource.ts';

/** An event of an object, shown by `kubectl describe`. */
export interface EventNote {
  type: 'Normal' | 'Warning';
  /** Reason, as one CamelCase word. */
  reason: string;
  /** Action taken, as one CamelCase word. */
  action: string;
  /** Description, cut at 1024 bytes, the API's limit. */
  note: string;
  /** Part of the object that the event concerns. Events about different parts are not merged. */
  part?: string;
}

export interface RecorderOptions {
  /** Name of this controller, as `greedyinfomax.dev/operator`. */
  controller: string;
  /** Name of this process. */
  instance: string;
  log?: Logger;
  clock?: Clock;
  /** Minimum seconds between writes of the same event; repeats are counted meanwhile. */
  quietSeconds?: number;
}

/** Maximum number of remembered events; older ones are looked up on the API server. */
const REMEMBERED = 1000;

interface Seen {
  /** Number of occurrences, including those not written yet. */
  count: number;
  namespace: string;
  writtenAt: number;
  cancel?: () => void;
}

/**
 * Records events. Repeats form a series, also across restarts, because an event's name is derived from its
 * content. Recording never fails: errors are logged.
 */
export class EventRecorder {
  readonly #client: Client;
  readonly #options: Required<Omit<RecorderOptions, 'log'>> & Pick<RecorderOptions, 'log'>;
  readonly #seen = new Map<string, Seen>();
  #writes: Promise<void> = Promise.resolve();

  constructor(client: Client, options: RecorderOptions) {
    this.#client = client;
    this.#options = { clock: systemClock, quietSeconds: 60, ...options };
  }

  record(regarding: KubeObject, event: EventNote): void {
    const { clock, quietSeconds } = this.#options;
    const name = nameOf(regarding, event);
    const seen = this.#seen.get(name);
    if (!seen) {
      const namespace = regarding.metadata.namespace ?? 'default';
      const first = { count: 1, namespace, writtenAt: clock.now() };
      this.#remember(name, first);
      this.#enqueue(() => this.#create(name, first, regarding, event));
      return;
    }
    seen.count++;
    seen.cancel ??= clock.after(
      Math.max(0, seen.writtenAt + quietSeconds * 1000 - clock.now()),
      () => this.#writeRepeats(name, seen),
    );
  }

  /** Writes all pending events. */
  async flush(): Promise<void> {
    for (const [name, seen] of this.#seen) if (seen.cancel) this.#writeRepeats(name, seen);
    await this.#writes;
  }

  #writeRepeats(name: string, seen: Seen): void {
    seen.cancel?.();
    seen.cancel = undefined;
    seen.writtenAt = this.#options.clock.now();
    this.#enqueue(() => this.#patch(name, seen));
  }

  /** Writes one event after another, so that a repeat never overtakes the event itself. */
  #enqueue(write: () => Promise<void>): void {
    this.#writes = this.#writes.then(write).catch((error: unknown) => {
      this.#options.log?.warn({ err: error }, 'cannot write an event');
    });
  }

  async #create(name: string, seen: Seen, regarding: KubeObject, event: EventNote): Promise<void> {
    const { controller, instance, clock } = this.#options;
    const { namespace } = seen;
    try {
      await this.#client.create(EVENTS, {
        metadata: { namespace, name },
        eventTime: microTime(clock.date()),
        reportingController: controller,
        reportingInstance: instance.slice(0, 128),
        action: event.action,
        reason: event.reason,
        regarding: {
          apiVersion: regarding.apiVersion ?? '',
          kind: regarding.kind ?? '',
          namespace,
          name: regarding.metadata.name,
          uid: regarding.metadata.uid ?? '',
        },
        type: event.type,
        note: cut(event.note, 1024),
      });
    } catch (error) {
      if (!isAlreadyThere(error)) {
        this.#forget(name);
        throw error;
      }
      // An earlier process of this operator recorded it.
      const before = await this.#client.get(EVENTS, namespace, name);
      seen.count += before?.series?.count ?? 1;
      await this.#patch(name, seen);
    }
  }

  async #patch(name: string, { count, namespace }: Seen): Promise<void> {
    const series = { count, lastObservedTime: microTime(this.#options.clock.date()) };
    try {
      await this.#client.patch(EVENTS, namespace, name, 'merge', { series });
    } catch (error) {
      // Events live about an hour; the next one starts a new series.
      if (isGone(error)) this.#forget(name);
      throw error;
    }
  }

  #remember(name: string, seen: Seen): void {
    this.#seen.set(name, seen);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > REMEMBERED && oldest !== undefined) this.#forget(oldest);
  }

  #forget(name: string): void {
    this.#seen.get(name)?.cancel?.();
    this.#seen.delete(name);
  }
}

/**
 * Returns the same name for the same event about the same object. Words with digits are ignored: a pod's name,
 * a time, or the number of free nodes differs between repeats.
 */
function nameOf({ metadata }: KubeObject, { type, reason, action, note, part }: EventNote): string {
  const words = note.replace(/\S*\d\S*/g, '#');
  const said = JSON.stringify([metadata.uid, type, reason, action, words, part]);
  return `${metadata.name.slice(0, 200)}.${hash(said, 16)}`;
}

/** Truncates to at most `bytes` of UTF-8 without splitting a character. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) return text;
  return `${encoded
    .subarray(0, bytes - 5)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}…`;
}
