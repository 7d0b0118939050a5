import { type JobObject, PODS, type PodObject, pathOf } from '../../operator/src/kube/resource.ts';
import { eventually, NAMESPACE, type Scene } from './scene.ts';

/** What a kubelet reports of the pods of a module, in a cluster that has none. */

export interface PodEnd {
  exitCode: number;
  /** The end of its log. */
  message?: string;
  /** It was evicted, preempted or drained. */
  disrupted?: boolean;
}

/** Ends the pod of the module that is active now, or will be. */
export async function endPod(
  scene: Scene,
  run: string,
  module: string,
  { exitCode, message = '', disrupted = false }: PodEnd,
): Promise<void> {
  const pod = await eventually(`a pod of ${run}-${module}`, () => activePod(scene, run, module));
  const time = new Date().toISOString();
  const terminated = { exitCode, message, reason: 'Ended', startedAt: time, finishedAt: time };
  const status = {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions: disrupted
      ? [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }]
      : [],
    containerStatuses: [
      {
        name: 'trainer',
        image: 'test',
        imageID: 'test',
        ready: false,
        restartCount: 0,
        state: { terminated },
      },
    ],
  };
  const path = pathOf(PODS, NAMESPACE, pod.metadata.name, 'status');
  const contentType = 'application/merge-patch+json';
  await scene.client.call('PATCH', path, { contentType, body: { status } });
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
      status?.phase === 'Pending',
  );
}

export const ownerUid = (job: JobObject): string | undefined =>
  job.metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
