import { REASONS } from './names.ts';
import type { Cause } from './types.ts';

/** Remedy for each cause that a trainer waits for, in one clause. */
const REMEDIES: Record<string, string> = {
  Unschedulable: 'add nodes that fit, or ask for less in resources and podTemplate',
  SchedulingGated: 'the controller that set the gate must remove it',
  ErrImagePull: 'check podTemplate.image and podTemplate.imagePullSecrets',
  ImagePullBackOff: 'check podTemplate.image and podTemplate.imagePullSecrets',
  InvalidImageName: 'correct podTemplate.image',
  ErrImageNeverPull: 'load the image onto the node, or let it be pulled',
  CreateContainerConfigError: 'create the Secret or ConfigMap that podTemplate names',
  CreateContainerError: 'check podTemplate',
  RunContainerError: 'check podTemplate',
  FailedMount: 'check the claim in checkpoints.storage and podTemplate.volumes',
  FailedAttachVolume: 'check the claim in checkpoints.storage and podTemplate.volumes',
  FailedMapVolume: 'check the claim in checkpoints.storage and podTemplate.volumes',
  FailedCreatePodSandBox: 'check the network of the node',
  NetworkNotReady: 'check the network of the node',
  FailedCreate:
    "free what the quota counts, or change the run to what the namespace's policies admit",
  [REASONS.sidecar]:
    'make it an init container with restartPolicy: Always, which ends with the trainer',
};

/** Returns the cause with its remedy, where there is one. */
export function withRemedy({ reason, message }: Cause): Cause {
  const remedy = REMEDIES[reason];
  if (!remedy || message.endsWith(remedy)) return { reason, message };
  return { reason, message: `${message.replace(/[.;\s]+$/, '')}; ${remedy}` };
}
