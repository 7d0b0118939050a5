import type { ModulePodTemplate, PodTemplate } from '@greedy-infomax/crds';
import { CONTAINER } from './names.ts';
import type { KubernetesRun } from './types.ts';

/** The pod templates of a run, as they are merged onto its pods. */

type Spec = NonNullable<ModulePodTemplate['spec']>;

/** Returns the run's templates in the order they are merged: the shorthand fields of `spec.podTemplate`, then its own fields. */
export function runTemplates({ spec }: KubernetesRun): ModulePodTemplate[] {
  const { metadata, spec: pod, ...shorthand } = spec.podTemplate ?? {};
  return [expand(shorthand), { ...(metadata && { metadata }), ...(pod && { spec: pod }) }];
}

/** Returns `templates` without the resources of the trainer. */
export const withoutResources = (templates: readonly ModulePodTemplate[]): ModulePodTemplate[] =>
  templates.map((template) => ({
    ...template,
    ...(template.spec?.containers && {
      spec: {
        ...template.spec,
        containers: template.spec.containers.map(({ resources, ...container }) =>
          container.name === CONTAINER ? container : { resources, ...container },
        ),
      },
    }),
  }));

/** Fields of a pod for its placement, its user and the pull of its image. */
const PLACEMENT = [
  'nodeSelector',
  'tolerations',
  'affinity',
  'schedulerName',
  'priorityClassName',
  'runtimeClassName',
  'securityContext',
  'imagePullSecrets',
] as const;

/** Returns the run's templates reduced to placement and the trainer's image: no volume, variable or further container. */
export const placementTemplates = (run: KubernetesRun): ModulePodTemplate[] =>
  runTemplates(run).map(({ spec = {} }) => {
    const image = spec.containers?.find(({ name }) => name === CONTAINER)?.image;
    const placed = PLACEMENT.filter((field) => spec[field] !== undefined);
    return {
      spec: {
        ...(Object.fromEntries(placed.map((field) => [field, spec[field]])) as Spec),
        ...(image !== undefined && { containers: [{ name: CONTAINER, image }] }),
      },
    };
  });

/** Returns the shorthand fields as a template. */
function expand(shorthand: Omit<PodTemplate, 'metadata' | 'spec'>): ModulePodTemplate {
  const { image, env, volumes, labels, annotations, ...fields } = shorthand;
  const mounts = volumes?.map(({ name, mountPath, subPath, readOnly }) => ({
    name,
    mountPath,
    ...(subPath !== undefined && { subPath }),
    ...(readOnly !== undefined && { readOnly }),
  }));
  const trainer = {
    name: CONTAINER,
    ...(image !== undefined && { image }),
    ...(env && { env }),
    ...(mounts && { volumeMounts: mounts }),
  };
  return {
    metadata: { ...(labels && { labels }), ...(annotations && { annotations }) },
    spec: {
      ...fields,
      containers: [trainer],
      ...(volumes && {
        volumes: volumes.map(({ mountPath, subPath, readOnly, ...volume }) => volume),
      }),
    },
  };
}
