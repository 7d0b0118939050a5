import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { API_GROUP, API_VERSION } from '@greedy-infomax/crds';
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Client } from '../kube/client.ts';
import { type KubeObject, MODULES, type Resource, RUNS } from '../kube/resource.ts';

/**
 * Requirements that an installation must meet before a run can train. Each check resolves with a description
 * of its result.
 */

/** A requirement of runs is missing. */
export class InstallCheckError extends Error {
  override readonly name = 'InstallCheckError';
}

interface DeploymentObject extends KubeObject {
  spec?: { replicas?: number };
  status?: { observedGeneration?: number; updatedReplicas?: number; readyReplicas?: number };
}
const DEPLOYMENTS: Resource<DeploymentObject> = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  plural: 'deployments',
};

/** Checks that the API server serves the kinds of this operator. @throws InstallCheckError, ApiError */
export async function checkApi(client: Client): Promise<string> {
  const version = `${API_GROUP}/${API_VERSION}`;
  const { resources } = await client.call<{ resources: { name: string }[] }>(
    'GET',
    `/apis/${version}`,
  );
  const served = resources.map(({ name }) => name);
  for (const { kind, plural } of [RUNS, MODULES]) {
    if (!served.includes(plural)) {
      throw new InstallCheckError(
        `the API server serves ${version} without ${kind}: install both CustomResourceDefinitions (crds.install)`,
      );
    }
  }
  return `the API server serves ${served
    .filter((name) => !name.includes('/'))
    .toSorted()
    .join(' and ')}`;
}

/**
 * Checks that all operators of the newest version are ready, now or soon.
 * @throws InstallCheckError, ApiError
 */
export async function checkOperator(
  client: Client,
  { namespace, name, withinSeconds }: { namespace: string; name: string; withinSeconds: number },
): Promise<string> {
  const end = Date.now() + withinSeconds * 1000;
  for (;;) {
    const deployment = await client.get(DEPLOYMENTS, namespace, name);
    const { spec, status, metadata } = deployment ?? {};
    const wanted = spec?.replicas ?? 1;
    const seen = status?.observedGeneration === metadata?.generation;
    const ready = Math.min(status?.readyReplicas ?? 0, status?.updatedReplicas ?? 0);
    if (deployment && seen && wanted > 0 && ready >= wanted) {
      return `${ready} of ${wanted} operators are ready`;
    }
    if (Date.now() > end) {
      throw new InstallCheckError(
        `Deployment ${namespace}/${name} ${deployment ? `has ${ready} of ${wanted} operators ready` : 'is not there'} after ${withinSeconds} s; look at \`kubectl --namespace ${namespace} describe deployment ${name}\` and the pods' logs`,
      );
    }
    await sleep(Math.min(1000, withinSeconds * 100));
  }
}

/** Checks that a stream can be created, written, read and deleted. @throws InstallCheckError */
export async function checkJetStream(connection: NatsConnection): Promise<string> {
  const id = randomUUID();
  const [name, subject] = [`GIM-INSTALL-CHECK-${id}`, `gim-install-check.${id}`];
  const jsm = await jetstreamManager(connection, { checkAPI: false });
  const config = { name, subjects: [subject], storage: StorageType.Memory, max_bytes: 4096 };
  await jsm.streams.add(config);
  try {
    const { seq } = await jetstream(connection).publish(subject, id);
    const message = await jsm.streams.getMessage(name, { seq });
    const text = message?.string();
    if (text !== id) {
      throw new InstallCheckError(`JetStream took the message ${id} and gave back ${text}`);
    }
  } finally {
    await jsm.streams.delete(name);
  }
  return 'JetStream makes a stream, takes a message, gives it back and deletes the stream';
}
