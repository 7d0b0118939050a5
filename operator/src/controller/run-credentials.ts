import { type Client, isAlreadyThere } from '../kube/client.ts';
import { type Clock, systemClock } from '../kube/clock.ts';
import { controllerOf, SECRETS, type SecretObject } from '../kube/resource.ts';
import type { Signer } from '../nats/signer.ts';
import type { PlannedCredentials } from '../plan/kubernetes/nats-secret.ts';

/** Milliseconds between two attempts to make a Secret again that a pod seems to miss. */
const AGAIN = 60_000;

/**
 * Makes the Secret of each run once. The operator may create Secrets and nothing else with them, so it
 * cannot read those of others; that one is there it learns when it tries to make it.
 */
export class RunCredentials {
  readonly #client: Client;
  readonly #signer: Signer | null;
  readonly #clock: Clock;
  /** When it was last seen to be there, by uid of the run. */
  readonly #seenAt = new Map<string, number>();

  constructor(client: Client, signer: Signer | null, clock: Clock = systemClock) {
    this.#client = client;
    this.#signer = signer;
    this.#clock = clock;
  }

  /** @throws ApiError */
  async ensure({ secret, user, missed }: PlannedCredentials): Promise<void> {
    const object = secret as SecretObject;
    const run = controllerOf(object)?.uid ?? '';
    const seenAt = this.#seenAt.get(run);
    if (seenAt !== undefined && !(missed && this.#clock.now() - seenAt >= AGAIN)) return;
    const creds =
      user && this.#signer
        ? { [user.key]: await this.#signer.mint(user.name, user.permissions) }
        : {};
    try {
      const stringData = { ...object.stringData, ...creds };
      await this.#client.create(SECRETS, { ...object, stringData });
    } catch (error) {
      if (!isAlreadyThere(error)) throw error;
    }
    this.#seenAt.set(run, this.#clock.now());
  }

  forget(run: string): void {
    this.#seenAt.delete(run);
  }
}
