/** Requests to JetStream that no one answers for a moment, while the server updates the limits of their account. */

const ATTEMPTS = 10;
const AGAIN_MS = 50;

/**
 * Reports whether an error of @nats-io/jetstream says that no one answers. It does not export the class. An
 * account for whose storage the server has no room is never answered.
 */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof Error && error.name === 'JetStreamNotEnabled';

/** Repeats an unanswered request for half a second. */
export async function answered<T>(request: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request();
    } catch (error) {
      if (!isUnanswered(error) || attempt === ATTEMPTS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
