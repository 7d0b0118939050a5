import { type Client, METADATA_ONLY } from '../kube/client.ts';
import { type Clock, systemClock } from '../kube/clock.ts';
import { controllerOf, type RunObject, SECRETS, type SecretObject } from '../kube/resource.ts';
import { FIELD_MANAGER } from '../kube/server-side-apply.ts';
import type { NatsTenants } from '../nats/tenants.ts';
import { GRACE_SECONDS } from '../plan/kubernetes/names.ts';
import { base64, credentialsGeneration } from '../plan/kubernetes/nats-secret.ts';
import type { PlannedCredentials } from '../plan/kubernetes/types.ts';

/** Milliseconds between two attempts to recreate a Secret that a pod seems to lack. */
const AGAIN = 60_000;
/** Milliseconds within which the trainers of an ended run exit. */
const LAST_CHECKPOINT = 1.5 * GRACE_SECONDS * 1000;

interface Written {
  /** Milliseconds of the monotonic clock. */
  at: number;
  generation: number;
}

/**
 * Writes the Secret with the NATS credentials of each run, and renews it before the credentials expire.
 * Secrets are never read: writes are server-side apply, and the response holds metadata only.
 */
export class RunCredentials {
  readonly #client: Client;
  readonly #nats: NatsTenants;
  readonly #clock: Clock;
  /** Secrets written, by uid of the run. */
  readonly #written = new Map<string, Written>();
  /** Uids of runs whose credentials are revoked. */
  readonly #revoked = new Set<string>();

  constructor(client: Client, nats: NatsTenants, clock: Clock = systemClock) {
    this.#client = client;
    this.#nats = nats;
    this.#clock = clock;
  }

  /** Number of runs with entries here. */
  get size(): number {
    return this.#written.size + this.#revoked.size;
  }

  /** @throws ApiError */
  async ensure({ secret, user, missed }: PlannedCredentials): Promise<void> {
    const object = secret as SecretObject;
    const run = controllerOf(object)?.uid ?? '';
    const before = this.#written.get(run);
    const generation = user?.generation ?? 0;
    if (before !== undefined && before.generation === generation) {
      const age = this.#clock.now() - before.at;
      if (age < this.#renewAfter() && !(missed && age >= AGAIN)) return;
    }
    const creds =
      user && this.#nats.lifetimeSeconds !== null
        ? { [user.key]: base64(await this.#nats.mint(user)) }
        : {};
    await this.#apply({ ...object, data: { ...object.data, ...creds } });
    this.#written.set(run, { at: this.#clock.now(), generation });
    if (user && generation > 0) this.#revoke(user, generation, 0);
  }

  async #apply(secret: SecretObject): Promise<void> {
    const { namespace = '', name } = secret.metadata;
    const query = { fieldManager: FIELD_MANAGER, force: true };
    await this.#client.patch(SECRETS, namespace, name, 'apply', secret, {
      query,
      accept: METADATA_ONLY,
    });
  }

  /**
   * Revokes the credentials of a run that has ended, unless all of them have expired. The revocation waits for
   * `afterMs`, because its trainers may still be writing their last checkpoint.
   */
  revoke({ metadata, status }: RunObject, afterMs = LAST_CHECKPOINT): void {
    const { uid = '', namespace = '', annotations } = metadata;
    const { lifetimeSeconds } = this.#nats;
    if (this.#revoked.has(uid) || typeof lifetimeSeconds !== 'number') return;
    const { completionTime } = (status ?? {}) as { completionTime?: string };
    const ended = completionTime === undefined ? Number.NaN : Date.parse(completionTime);
    if (this.#clock.date().getTime() - ended > lifetimeSeconds * 1000) return;
    this.#revoked.add(uid);
    this.#revoke({ namespace, uid }, credentialsGeneration(annotations) + 1, afterMs);
  }

  /** Retries until NATS accepts the revocation. */
  #revoke(user: { namespace: string; uid: string }, below: number, afterMs: number): void {
    setTimeout(() => {
      this.#nats.revoke(user, below).catch(() => this.#revoke(user, below, AGAIN));
    }, afterMs).unref();
  }

  /** Returns the seconds until `ensure` renews the credentials; undefined if it does not. */
  renewAfterSeconds(run: string): number | undefined {
    const written = this.#written.get(run);
    if (written === undefined || this.#renewAfter() === Number.POSITIVE_INFINITY) return undefined;
    return Math.max(0, (written.at + this.#renewAfter() - this.#clock.now()) / 1000);
  }

  forget(run: string): void {
    this.#written.delete(run);
    this.#revoked.delete(run);
  }

  /**
   * Milliseconds until renewal: well before half of the lifetime, because the kubelet takes one or two minutes
   * to refresh a mounted file.
   */
  #renewAfter(): number {
    const { lifetimeSeconds } = this.#nats;
    return typeof lifetimeSeconds === 'number' ? lifetimeSeconds * 400 : Number.POSITIVE_INFINITY;
  }
}
