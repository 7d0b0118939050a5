import { encodeTrainerEnding } from '@greedy-infomax/crds';
import { type JobObject, PODS, type PodObject, pathOf } from '../../operator/src/kube/resource.ts';
import { eventually, NAMESPACE, type Scene } from './scene.ts';

/** Reports pod status of a module as a kubelet would, in a cluster without kubelets. */

export interface PodEnd {
  exitCode: number;
  /** Reason of the termination, as reported by the container runtime. */
  reason?: string;
  /** Termination message. Default: proof of completion with exit code 0, otherwise empty. */
  message?: string;
  /** True if the pod was evicted, preempted or drained. */
  disrupted?: boolean;
}

/** Ends the module's active pod, waiting for it if necessary. */
export async function endPod(
  scene: Scene,
  run: string,
  module: string,
  { exitCode, reason = 'Ended', message, disrupted = false }: PodEnd,
): Promise<void> {
  const pod = await eventually(`a pod of ${run}-${module}`, () => activePod(scene, run, module));
  const time = new Date().toISOString();
  const terminated = {
    exitCode,
    message: message ?? (exitCode === 0 ? await proofOf(scene, run, module) : ''),
    reason,
    startedAt: time,
    finishedAt: time,
  };
  const conditions = disrupted
    ? [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }]
    : [];
  await setStatus(scene, pod, {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions,
    containerStatuses: [trainer({ terminated })],
  });
}

/** Pod status while the image is being pulled. */
export const pulling = () => ({
  phase: 'Pending',
  conditions: [
    holds('PodScheduled'),
    holds('PodReadyToStartContainers'),
    { ...holds('Ready'), status: 'False', reason: 'ContainersNotReady' },
  ],
  containerStatuses: [trainer({ waiting: { reason: 'ContainerCreating' } })],
});

/** Pod status after the trainer's first step. */
export const working = () => ({
  phase: 'Running',
  conditions: ['PodScheduled', 'PodReadyToStartContainers', 'ContainersReady', 'Ready'].map(holds),
  containerStatuses: [
    { ...trainer({ running: { startedAt: now() } }), ready: true, started: true },
  ],
});

/** Reports `status` for the module's active pod, waiting for it if necessary. */
export async function setPod(
  scene: Scene,
  run: string,
  module: string,
  status: object,
): Promise<void> {
  const pod = await eventually(`a pod of ${run}-${module}`, () => activePod(scene, run, module));
  await setStatus(scene, pod, status);
}

const now = () => new Date().toISOString();
const holds = (type: string) => ({ type, status: 'True', lastTransitionTime: now() });
const trainer = (state: object) => ({
  name: 'trainer',
  image: 'test',
  imageID: 'test',
  ready: false,
  restartCount: 0,
  state,
});

async function setStatus(scene: Scene, { metadata }: PodObject, status: object): Promise<void> {
  const path = pathOf(PODS, NAMESPACE, metadata.name, 'status');
  const contentType = 'application/merge-patch+json';
  await scene.client.call('PATCH', path, { contentType, body: { status } });
}

/** Termination message of the first trainer of a module that has trained on 640 samples. */
export async function proofOf(scene: Scene, run: string, module: string): Promise<string> {
  return encodeTrainerEnding({
    outcome: 'complete',
    run: (await scene.run(run))?.metadata.uid ?? '',
    module,
    replica: 0,
    step: 20,
    samples: 640,
    budget: 640,
    checkpoint: { step: 20, file: 'checkpoint-000000020.safetensors', sha256: 'a'.repeat(64) },
  });
}

async function activePod(
  scene: Scene,
  run: string,
  module: string,
): Promise<PodObject | undefined> {
  const pods = await scene.list(PODS, run);
  return pods.find(
    ({ metadata, status }) =>
      metadata.labels?.['greedyinfomax.dev/module'] === module &&
      metadata.deletionTimestamp === undefined &&
      (status?.phase === 'Pending' || status?.phase === 'Running'),
  );
}

export const ownerUid = (job: JobObject): string | undefined =>
  job.metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
