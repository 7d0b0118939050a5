import { API_GROUP } from '@greedy-infomax/crds';

/** Names, keys and limits of what the operator makes on Kubernetes. */

/** `spec.managedBy` of runs that this operator takes care of; the same as leaving it out. */
export const MANAGER = `${API_GROUP}/operator`;

/** Finalizer that earlier versions of the operator put on runs; this one only removes it. */
export const FORMER_FINALIZER = `${API_GROUP}/streams`;

/** On a Job: hash of what the run asked for when it was made. Another hash means another Job. */
export const TEMPLATE_HASH = `${API_GROUP}/template-hash`;

/** On a run: a whole number, 0 by default. A higher one revokes the run's NATS credentials and makes new ones. */
export const CREDENTIALS_GENERATION = `${API_GROUP}/credentials-generation`;

/** Annotation of an evaluation Job: samples of the slowest module when the evaluation was requested. */
export const EVALUATED_SAMPLES = `${API_GROUP}/samples`;

/** Labels of a run that Kueue reads on the Jobs. */
export const KUEUE_QUEUE = 'kueue.x-k8s.io/queue-name';
export const KUEUE_LABELS: readonly string[] = [KUEUE_QUEUE, 'kueue.x-k8s.io/priority-class'];

/** Label that says what a pod or a clean-up Job is for. */
export const COMPONENT = 'app.kubernetes.io/component';

/** Set by the Job controller on each pod of an Indexed Job. */
export const COMPLETION_INDEX = 'batch.kubernetes.io/job-completion-index';

/** The container that trains; the pod may have others that an admission webhook put in. */
export const CONTAINER = 'trainer';

export const CONFIG_FILE = 'module.json';
export const CONFIG_FOLDER = '/etc/greedy-infomax';
/**
 * Mount point of the whole claim. The kubelet would create a missing subPath as root, without write access for
 * trainers.
 */
export const CHECKPOINT_FOLDER = '/var/lib/greedy-infomax';
/** In it, what a run leaves. */
export const runFolder = (run: string): string => `${CHECKPOINT_FOLDER}/${run}`;
/** Returns the folder of one trainer. Trainers of a module must not prune each other's checkpoints. */
export const replicaFolder = (run: string, module: string, replica: number | string): string =>
  `${runFolder(run)}/${module}/replica-${replica}`;
/** Path at which the kubelet reads a container's termination message. */
export const TERMINATION_LOG = '/dev/termination-log';
/** The trainer touches it at every turn of its loop; the probes read when that was. */
export const PROGRESS_FILE = '/tmp/progress';
export const PROGRESS_VARIABLE = 'PROGRESS_FILE';

/** A trainer asks for one of these unless the run says otherwise. */
export const GPU = 'nvidia.com/gpu';
/** User and group of trainers. */
export const USER_ID = 65_532;
/** Seconds that a trainer gets to write a checkpoint before it is killed. */
export const GRACE_SECONDS = 60;
/** Failures of a module's pods, disruptions not counted, after which its Job fails. */
export const BACKOFF_LIMIT = 6;
/** Failures of an evaluation's pods after which its Job fails. The run does not fail with it. */
export const EVALUATION_BACKOFF_LIMIT = 2;
/** Resources of the pod that removes checkpoints; limits, too, as some quotas ask for them. */
export const CLEANUP_RESOURCES = {
  requests: { cpu: '100m', memory: '64Mi' },
  limits: { cpu: '1', memory: '256Mi' },
};
/** Longest time in seconds that the removal of a deleted run's checkpoints may take. */
export const CLEANUP_SECONDS = 120;
/** Seconds that the first step may take, compilation included. */
export const STARTUP_SECONDS = 900;
/** Seconds without progress after which a trainer is taken for hung. */
export const HUNG_SECONDS = 300;
/** Seconds without a report after which status says so. A trainer reports about once a second. */
export const SILENT_SECONDS = 30;

/** The API server takes no event message of more than 1024 bytes. */
export const EVENT_MESSAGE_MAX = 1000;

export type ConditionType =
  | 'Ready'
  | 'Progressing'
  /** Something needs attention: a trainer fails, waits for what does not come, or is lost with its node. */
  | 'Degraded'
  /** The run cannot go on by itself; kstatus takes it for failed. */
  | 'Stalled'
  /** Only on runs whose operator has lost NATS once. */
  | 'NATSReachable'
  | 'Suspended'
  | 'Evaluated'
  | 'Complete'
  | 'Failed';

/** Reasons in conditions and events, beside the phases and what scheduler and kubelet say. */
export const REASONS = {
  /** The run itself cannot work. */
  invalid: 'InvalidRun',
  /** An object of another has the name that one of the run should have. */
  nameTaken: 'NameTaken',
  /** The API server takes an object of the run not as it is, or not now. */
  refused: 'ObjectRefused',
  /** The NATS account of the namespace, or the server, has no room for the run's streams. */
  natsLimit: 'NatsLimitReached',
  /** A module's Job failed. */
  moduleFailed: 'ModuleFailed',
  /** `spec.activeDeadlineSeconds` is over. */
  deadline: 'DeadlineExceeded',
  /** Every module has spent its budget and ended. */
  complete: 'AllModulesComplete',
  ready: 'AllTrainersReady',
  notReady: 'TrainersNotReady',
  finished: 'RunFinished',
  resumed: 'Resumed',
  notSuspended: 'NotSuspended',
  /** Nothing needs attention. */
  healthy: 'AsExpected',
  /** No pod yet: the Job controller has not created it. */
  noPods: 'PodsNotCreated',
  /** No pod yet: Kueue has not admitted the Job. */
  queued: 'Queued',
  /** The pods of a Job that is being replaced have not ended yet. */
  replacing: 'Replacing',
  /** In iterative order: a module before it has budget left. */
  turn: 'WaitsForModule',
  /** A pod failed, and the next one waits for its backoff. */
  restarting: 'Restarting',
  /** A pod failed for good, and its Job is about to. */
  failing: 'TrainerFailing',
  /** The node of a pod does not answer. */
  nodeLost: 'NodeLost',
  /** The kubelet pulls an image. */
  pulling: 'PullingImage',
  /** A trainer has ended, and another container keeps its pod. */
  sidecar: 'SidecarKeepsPod',
  /** A trainer ended with exit code 0 and left no proof that it finished its training. */
  noEvidence: 'NoEvidence',
  initFailed: 'InitContainerFailed',
  podFailed: 'PodFailed',
  natsAway: 'NATSUnavailable',
  natsBack: 'NATSConnected',
  scaledToZero: 'ScaledToZero',
  /** Reports have stopped coming. */
  silent: 'NoReports',
  trainerFailed: 'TrainerFailed',
  moduleTrained: 'ModuleTrained',
  moduleComplete: 'ModuleComplete',
  scaled: 'Scaled',
  /** Somebody scaled a module whose replicas the run sets. */
  scaleUndone: 'ScaleUndone',
  /** An evaluation runs, or its pod waits. */
  evaluating: 'Evaluating',
  evaluated: 'Evaluated',
  evaluationStarted: 'EvaluationStarted',
  evaluationFailed: 'EvaluationFailed',
  /** The run was suspended or failed meanwhile. */
  evaluationStopped: 'EvaluationStopped',
  /** Checkpoints end with their pods, so there is nothing to evaluate. */
  noVolume: 'NoCheckpointVolume',
} as const;
