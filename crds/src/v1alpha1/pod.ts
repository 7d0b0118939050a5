import { z } from 'zod';
import { listMap, validated } from './cel.ts';

/** Schema of the pods of a run. Runs on one machine ignore it. */

/** Keeps fields that the schema does not name, which the API server checks in the Job. */
const PRESERVE = { 'x-kubernetes-preserve-unknown-fields': true };

/** Maximum bytes of `spec.podTemplate`, the modules' own and `spec.resources` together, as JSON. Each Job has a copy. */
export const POD_BYTES_MAX = 32_768;

const text = (max = 253) => z.string().min(1).max(max);

/** A map of strings with at most `entries` entries. */
const strings = (entries: number, length: number) =>
  z
    .record(z.string().max(317), z.string().max(length))
    .refine((map) => Object.keys(map).length <= entries, `has more than ${entries} entries`)
    .meta({ maxProperties: entries });

const quantities = z
  .record(z.string().max(317), z.union([z.string().max(64), z.int()]))
  .refine((map) => Object.keys(map).length <= 32, 'has more than 32 entries')
  .meta({ maxProperties: 32 });

export const resourcesSchema = z
  .strictObject({
    requests: quantities.optional().describe('Quantities the scheduler reserves, such as cpu: 2.'),
    limits: quantities
      .optional()
      .describe('Quantities the container may not exceed, such as nvidia.com/gpu: 1.'),
  })
  .describe('CPU, memory and devices of a container.');
export type Resources = z.infer<typeof resourcesSchema>;

const tolerationSchema = z.strictObject({
  key: text(317).optional().describe('Key of the taint. Default: every key.'),
  operator: z.enum(['Exists', 'Equal']).optional().describe('Default Equal.'),
  value: z.string().max(63).optional().describe('Value of the taint.'),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .describe('Effect of the taint. Default: every effect.'),
  tolerationSeconds: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe('NoExecute: seconds that the pod stays.'),
});

const SOURCES = ['persistentVolumeClaim', 'hostPath', 'nfs', 'configMap', 'secret', 'emptyDir'];

const volumeSchema = z
  .strictObject({
    name: text(63).describe('A DNS label, unique in the list.'),
    mountPath: text(1024).describe('Where trainers see the volume.'),
    subPath: text(1024).optional().describe('Folder of the volume. Default: its root.'),
    readOnly: z.boolean().optional().describe('Default false.'),
    persistentVolumeClaim: z
      .strictObject({ claimName: text().describe('Name of the claim.') })
      .optional()
      .describe('A claim in the namespace of the run.'),
    hostPath: z
      .strictObject({ path: text(1024).describe('Folder on the node.') })
      .optional()
      .describe('A folder of the node.'),
    nfs: z
      .strictObject({
        server: text().describe('Host name or address.'),
        path: text(1024).describe('Exported folder.'),
      })
      .optional()
      .describe('A folder of an NFS server.'),
    configMap: z
      .strictObject({ name: text().describe('Name of the ConfigMap.') })
      .optional()
      .describe('A ConfigMap in the namespace of the run.'),
    secret: z
      .strictObject({ secretName: text().describe('Name of the Secret.') })
      .optional()
      .describe('A Secret in the namespace of the run.'),
    emptyDir: z
      .strictObject({
        medium: z.enum(['', 'Memory']).optional().describe('Memory: a tmpfs. Default: the disk.'),
        sizeLimit: text(64).optional().describe('Such as 10Gi. Default: none.'),
      })
      .optional()
      .describe('A folder that lives as long as the pod.'),
  })
  .refine(
    (volume) => SOURCES.filter((source) => source in volume).length === 1,
    `must have exactly one of ${SOURCES.join(', ')}`,
  )
  .meta(
    validated({
      rule: `[${SOURCES.map((source) => `has(self.${source})`).join(', ')}].filter(x, x).size() == 1`,
      message: `a volume has exactly one of ${SOURCES.join(', ')}`,
    }),
  );

const envSchema = z.strictObject({
  name: text().describe('Name of the variable.'),
  value: z.string().max(4096).optional().describe('Its value.'),
  valueFrom: z
    .looseObject({})
    .optional()
    .describe('Source of the value, as in a container of a pod.')
    .meta(PRESERVE),
});

/** An object of the Kubernetes API: the operator reads the named fields, and the API server checks all of them. */
const kubernetes = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.looseObject(shape).meta(PRESERVE);

const containerSchema = kubernetes({
  name: text(63).describe('A DNS label, unique in the pod. The trainer is `trainer`.'),
  image: text(512).optional().describe('Image of the container.'),
  command: z.array(z.string().max(32_768)).max(256).optional().describe('Entrypoint.'),
  args: z.array(z.string().max(32_768)).max(256).optional().describe('Arguments.'),
  env: z
    .array(kubernetes({ name: text().describe('Name of the variable.') }))
    .max(256)
    .optional()
    .describe('Environment variables, merged by name.'),
  volumeMounts: z
    .array(
      kubernetes({
        name: text(63).describe('Name of the volume.'),
        mountPath: text(1024).describe('Path in the container.'),
      }),
    )
    .max(64)
    .optional()
    .describe('Volume mounts, merged by mountPath.'),
  resources: kubernetes({
    requests: quantities.optional().describe('Quantities the scheduler reserves.'),
    limits: quantities.optional().describe('Quantities the container may not exceed.'),
  })
    .optional()
    .describe('CPU, memory and devices of the container.'),
  ports: z
    .array(kubernetes({}))
    .max(64)
    .optional()
    .describe('Ports of the container, merged by containerPort.'),
  securityContext: kubernetes({})
    .optional()
    .describe('Security context of the container. Null as a value removes the default.'),
});

const podSpecSchema = kubernetes({
  containers: z
    .array(containerSchema)
    .max(16)
    .optional()
    .describe('Containers, merged by name: the trainer is `trainer`, others run beside it.')
    .meta(listMap('name')),
  initContainers: z
    .array(containerSchema)
    .max(16)
    .optional()
    .describe(
      'Init containers; one with restartPolicy Always is a sidecar that ends with the trainer.',
    )
    .meta(listMap('name')),
  volumes: z
    .array(kubernetes({ name: text(63).describe('A DNS label, unique in the pod.') }))
    .max(64)
    .optional()
    .describe('Volumes of the pod, by name.')
    .meta(listMap('name')),
  imagePullSecrets: z
    .array(kubernetes({ name: text().describe('Name of the Secret.') }))
    .max(16)
    .optional()
    .describe('Secrets the images are pulled with, by name.'),
  securityContext: kubernetes({})
    .optional()
    .describe(
      'Security context of the pod. Default: the one of the installation (user and group 65532). Null as a value removes the default, such as runAsUser: null.',
    ),
  terminationGracePeriodSeconds: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe('Seconds a trainer has to write its last checkpoint when its pod ends. Default 60.'),
  serviceAccountName: text()
    .optional()
    .describe('Service account of the pod. Trainers need no rights.'),
  priorityClassName: text().optional().describe('Priority class of the pod.'),
  runtimeClassName: text().optional().describe('Runtime class of the pod, such as nvidia.'),
  schedulerName: text().optional().describe('Scheduler of the pod.'),
  nodeSelector: strings(32, 63).optional().describe('Labels a node must have.'),
  tolerations: z
    .array(kubernetes({}))
    .max(32)
    .optional()
    .describe('Tolerations of the pod. The list replaces the default.'),
  affinity: kubernetes({}).optional().describe('Affinity of the pod.'),
  topologySpreadConstraints: z
    .array(kubernetes({}))
    .max(16)
    .optional()
    .describe('Topology spread constraints, merged by topologyKey.'),
});

const MERGED = {
  metadata: z
    .strictObject({
      labels: strings(32, 63).optional().describe('Labels of the pods.'),
      annotations: strings(32, 4096).optional().describe('Annotations of the pods.'),
    })
    .optional()
    .describe('Labels and annotations of the pods.'),
  spec: podSpecSchema
    .optional()
    .describe(
      "Any field of a Kubernetes PodSpec, merged strategically onto the operator's pod. The trainer's command, its reserved mounts and variables, hostname and restartPolicy cannot change.",
    ),
};

export const modulePodTemplateSchema = z
  .strictObject(MERGED)
  .describe(
    "Kubernetes only: a PodTemplateSpec for this module's trainers, merged onto spec.podTemplate.",
  );
export type ModulePodTemplate = z.infer<typeof modulePodTemplateSchema>;

const shorthand = (field: string) => `Shorthand for ${field}.`;

export const podTemplateSchema = z
  .strictObject({
    ...MERGED,
    image: text(512).optional().describe(shorthand("the trainer's image")),
    nodeSelector: strings(32, 63).optional().describe(shorthand('spec.nodeSelector')),
    tolerations: z
      .array(tolerationSchema)
      .max(32)
      .optional()
      .describe(shorthand('spec.tolerations')),
    affinity: z.looseObject({}).optional().describe(shorthand('spec.affinity')).meta(PRESERVE),
    priorityClassName: text().optional().describe(shorthand('spec.priorityClassName')),
    runtimeClassName: text().optional().describe(shorthand('spec.runtimeClassName')),
    serviceAccountName: text().optional().describe(shorthand('spec.serviceAccountName')),
    imagePullSecrets: z
      .array(z.strictObject({ name: text().describe('Name of the Secret.') }))
      .max(16)
      .optional()
      .describe(shorthand('spec.imagePullSecrets')),
    volumes: z
      .array(volumeSchema)
      .max(32)
      .optional()
      .describe('Shorthand for spec.volumes together with their mounts in the trainer.'),
    env: z.array(envSchema).max(64).optional().describe(shorthand("the trainer's env")),
    labels: strings(32, 63).optional().describe(shorthand('metadata.labels')),
    annotations: strings(32, 4096).optional().describe(shorthand('metadata.annotations')),
  })
  .describe(
    `Kubernetes only: a PodTemplateSpec for the pods of the run, merged onto what the operator makes. At most ${POD_BYTES_MAX} bytes as JSON, with the modules' own and spec.resources.`,
  );
export type PodTemplate = z.infer<typeof podTemplateSchema>;
