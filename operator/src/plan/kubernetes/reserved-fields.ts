import { API_GROUP, type ModulePodTemplate } from '@greedy-infomax/crds';
import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import { CONTAINER } from './names.ts';

/** Fields of a pod template that the operator relies on, and that a run cannot change. */

const POD_FIELDS: Readonly<Record<string, string>> = {
  restartPolicy: 'the Job restarts trainers by backoffLimit',
  hostname: "the Job names its pods' hosts by their index",
  subdomain: "the Job names its pods' hosts by their index",
  ephemeralContainers: 'a Job takes none',
};

const TRAINER_FIELDS: Readonly<Record<string, string>> = {
  command: 'the operator starts the trainer',
  args: 'the operator starts the trainer',
  workingDir: 'the operator starts the trainer',
  terminationMessagePath: 'the operator reads the trainer’s last message there',
};

const JOB_LABELS = ['job-name', 'controller-uid'];

/**
 * Returns the validation errors of a template. `base` is the pod before any merge: its labels and the trainer's
 * variables, volumes and mounts are reserved. `at`: paths of the pod's and of the trainer's fields in the run.
 */
export function reservedFields(
  { metadata, spec = {} }: ModulePodTemplate,
  at: { pod: string; trainer: string },
  base: V1PodTemplateSpec,
): string[] {
  const refuse = (path: string, why: string) => `${path} cannot be set: ${why}`;
  const baseTrainer = base.spec?.containers[0];
  const names = (items: readonly { name: string }[] = []) => items.map(({ name }) => name);
  const [variables, volumes] = [names(baseTrainer?.env), names(base.spec?.volumes)];
  const folders = (baseTrainer?.volumeMounts ?? []).map(({ mountPath }) => mountPath);

  const labels = Object.keys(metadata?.labels ?? {})
    .filter((key) => isReservedLabel(key, base.metadata?.labels ?? {}))
    .map((key) =>
      refuse(
        `${at.pod.replace(/spec$/, '')}metadata.labels[${key}]`,
        'the operator and the Job select pods by it',
      ),
    );
  const fields = Object.entries(POD_FIELDS)
    .filter(([field]) => field in spec)
    .map(([field, why]) => refuse(`${at.pod}.${field}`, why));
  const taken = (spec.volumes ?? [])
    .filter(({ name }) => volumes.includes(name))
    .map(({ name }) =>
      refuse(`${at.pod}.volumes[${name}]`, "it is the name of one of the operator's"),
    );
  const trainer = spec.containers?.find(({ name }) => name === CONTAINER);
  const own = Object.entries(TRAINER_FIELDS)
    .filter(([field]) => trainer && field in trainer)
    .map(([field, why]) => refuse(`${at.trainer}.${field}`, why));
  const env = (trainer?.env ?? [])
    .filter(({ name }) => variables.includes(name))
    .map(({ name }) => refuse(`${at.trainer}.env[${name}]`, 'the operator sets this variable'));
  const mounts = (trainer?.volumeMounts ?? [])
    .filter(({ mountPath }) => folders.some((folder) => covers(mountPath, folder)))
    .map(({ mountPath }) =>
      refuse(`${at.trainer}.volumeMounts[${mountPath}]`, "it hides one of the operator's mounts"),
    );
  return [...labels, ...fields, ...taken, ...own, ...env, ...mounts];
}

const isReservedLabel = (key: string, base: Record<string, string>): boolean =>
  key in base ||
  JOB_LABELS.includes(key) ||
  key.startsWith(`${API_GROUP}/`) ||
  key.startsWith('batch.kubernetes.io/');

/** Reports whether a mount at `path` hides the mount at `folder`. */
const covers = (path: string, folder: string): boolean =>
  `${folder}/`.startsWith(`${path.replace(/\/+$/, '')}/`);
