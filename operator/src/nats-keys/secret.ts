import { type Client, isConflict } from '../kube/client.ts';
import { SECRETS } from '../kube/resource.ts';
import { makeAuth } from './keys.ts';

/**
 * Makes the Secret with all keys, unless there is one of that name: its keys are in use, and others would
 * lock everybody out. Resolves with whether it was made. @throws ApiError
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
