import { type Client, isConflict } from '../kube/client.ts';
import { SECRETS } from '../kube/resource.ts';
import { makeAuth } from './keys.ts';

/**
 * Creates the Secret with all keys, unless one of that name exists: its keys are in use, and new ones would
 * lock out every client. Resolves with whether it was created.
 * @throws ApiError
 */
export async function makeAuthSecret(
  client: Client,
  namespace: string,
  name: string,
): Promise<boolean> {
  try {
    await client.create(SECRETS, {
      metadata: {
        namespace,
        name,
        labels: { 'app.kubernetes.io/name': 'greedy-infomax' },
      },
      type: 'Opaque',
      stringData: { ...(await makeAuth()) },
    });
    return true;
  } catch (error) {
    if (isConflict(error)) return false;
    throw error;
  }
}
