import type { V1Container, V1Pod, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import { trainerPermissions } from '../nats-permissions.ts';
import type { StreamPlan } from '../stream.ts';
import { CREDENTIALS_GENERATION } from './names.ts';
import { hash, runMetadata, usesBucket } from './objects.ts';
import type { KubernetesRun, Observed, PlannedCredentials, PlanOptions } from './types.ts';

/** The Secret that lets the trainers of a run into NATS. */

const CREDS = 'nats.creds';
const CA = 'ca.crt';
/** Mount point of the Secret, outside the configuration's folder: nothing can be mounted into a read-only volume. */
const FOLDER = '/etc/greedy-infomax-nats';
const VOLUME = 'nats-access';

/** The hash covers the run's uid, so that a later run of the same name has another Secret, and what the credentials allow. */
export const secretName = (run: KubernetesRun): string => {
  const { name, uid } = run.metadata;
  return `${name}-nats-${hash(usesBucket(run) ? `${uid} bucket` : uid, 8)}`;
};

/** None if trainers need neither credentials nor a certificate. */
export function plannedCredentials(
  run: KubernetesRun,
  streams: readonly StreamPlan[],
  observed: Observed,
  { natsSecret }: PlanOptions,
): PlannedCredentials | undefined {
  if (natsSecret === undefined) return undefined;
  const { namespace, name, uid } = run.metadata;
  const edges = streams.map(({ name: stream, consumer, sampleBytes }) => ({
    stream,
    consumer: consumer.name,
    sampleBytes,
  }));
  return {
    secret: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: runMetadata(run, secretName(run)),
      type: 'Opaque',
      data: natsSecret.ca === undefined ? {} : { [CA]: base64(natsSecret.ca) },
    },
    ...(natsSecret.user && {
      user: {
        key: CREDS,
        namespace,
        uid,
        name: `${namespace}/${name}`,
        permissions: trainerPermissions(run.metadata, edges, { bucket: usesBucket(run) }),
        generation: credentialsGeneration(run.metadata.annotations),
      },
    }),
    missed: observed.pods.some((pod) => waitsForVolume(pod, observed)),
  };
}

/** Text as the `data` of a Secret holds it: server-side apply does not track `stringData`. */
export const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** 0 if the annotation is missing or is no whole number from 0 to 1,000,000. */
export function credentialsGeneration(annotations: Record<string, string> = {}): number {
  const text = annotations[CREDENTIALS_GENERATION] ?? '0';
  const number = Number(text);
  return /^\d{1,7}$/.test(text) && number <= 1_000_000 ? number : 0;
}

const waitsForVolume = ({ metadata }: V1Pod, { warnings }: Observed): boolean =>
  warnings?.get(`Pod/${metadata?.name}`)?.some(({ reason }) => reason === 'FailedMount') ?? false;

/** Returns the environment, volumes and mounts of a trainer's access to NATS. */
export function natsParts(run: KubernetesRun, { natsUrl, natsSecret }: PlanOptions) {
  const env: V1Container['env'] & object = [{ name: 'NATS_URL', value: natsUrl }];
  const volumes: V1Volume[] = [];
  const volumeMounts: V1VolumeMount[] = [];
  if (natsSecret?.user) env.push({ name: 'NATS_CREDS', value: `${FOLDER}/${CREDS}` });
  if (natsSecret?.ca !== undefined) env.push({ name: 'NATS_CA', value: `${FOLDER}/${CA}` });
  if (natsSecret !== undefined) {
    volumes.push({ name: VOLUME, secret: { secretName: secretName(run) } });
    volumeMounts.push({ name: VOLUME, mountPath: FOLDER, readOnly: true });
  }
  return { env, volumes, volumeMounts };
}
