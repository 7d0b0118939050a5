import type {
  V1Container,
  V1Pod,
  V1Secret,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import { type NatsPermissions, trainerPermissions } from '../nats-permissions.ts';
import type { StreamPlan } from '../stream.ts';
import { hash, runMetadata, usesBucket } from './objects.ts';
import type { KubernetesRun, Observed, PlanOptions } from './types.ts';

/** The Secret that lets the trainers of a run into NATS. */

const CREDS = 'nats.creds';
const CA = 'ca.crt';
/** Not below the folder of the configuration: nothing can be mounted into a volume that is read-only. */
const FOLDER = '/etc/greedy-infomax-nats';
const VOLUME = 'nats-access';

/**
 * The run's uid is in the name, so that it is never that of an earlier run or of another's making. So is what the
 * credentials allow: one that is there is never written again.
 */
export const secretName = (run: KubernetesRun): string => {
  const { name, uid } = run.metadata;
  return `${name}-nats-${hash(usesBucket(run) ? `${uid} bucket` : uid, 8)}`;
};

export interface PlannedCredentials {
  /** The Secret but for the credentials: those are new each time they are made. */
  secret: V1Secret;
  /** Under `key` of the Secret; none where the server lets everybody in. */
  user?: { key: string; name: string; permissions: NatsPermissions };
  /** A pod waits for a volume, which may be this one: somebody may have deleted it. */
  missed: boolean;
}

/** None if trainers need neither credentials nor a certificate. */
export function plannedCredentials(
  run: KubernetesRun,
  streams: readonly StreamPlan[],
  observed: Observed,
  { natsSecret }: PlanOptions,
): PlannedCredentials | undefined {
  if (natsSecret === undefined) return undefined;
  const { namespace, name } = run.metadata;
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
      stringData: natsSecret.ca === undefined ? {} : { [CA]: natsSecret.ca },
    },
    ...(natsSecret.user && {
      user: {
        key: CREDS,
        name: `${namespace}/${name}`,
        permissions: trainerPermissions(run.metadata, edges, { bucket: usesBucket(run) }),
      },
    }),
    missed: observed.pods.some((pod) => waitsForVolume(pod, observed)),
  };
}

const waitsForVolume = ({ metadata }: V1Pod, { warnings }: Observed): boolean =>
  warnings?.get(`Pod/${metadata?.name}`)?.some(({ reason }) => reason === 'FailedMount') ?? false;

/** What a trainer's pod has of it. */
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
