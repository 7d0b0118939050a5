import { z } from 'zod';
import { listMap, validated } from './cel.ts';

/** Schema of the pods of a run. `gim run` ignores it. */

/** Keeps fields that the schema does not name. The API server checks them in the Job. */
const PRESERVE = { 'x-kubernetes-preserve-unknown-fields': true };

/** Maximum bytes of all pod templates of a run and `spec.resources` together, as JSON. Each Job has a copy. */
export const POD_BYTES_MAX = 32_768;

const text = (max = 253) => z.string().min(1).max(max);

/** Returns the schema of a map of strings with at most `entries` entries. */
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
    requests: quantities
      .optional()
      .describe('Minimum resources by name, such as cpu: 2. The scheduler reserves them.'),
    limits: quantities.optional().describe('Maximum resources by name, such as nvidia.com/gpu: 1.'),
  })
  .describe('CPU, memory and devices of a container.');
export type Resources = z.infer<typeof resourcesSchema>;

const tolerationSchema = z.strictObject({
  key: text(317).optional().describe('Key of the taint. Defaults to all keys.'),
  operator: z
    .enum(['Exists', 'Equal'])
    .optional()
    .describe('Relation of key and value. Exists ignores the value. Defaults to Equal.'),
  value: z.string().max(63).optional().describe('Value of the taint.'),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .describe('Effect of the taint. Defaults to all effects.'),
  tolerationSeconds: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe(
      'Seconds that the pod stays bound to the node. Used by NoExecute. Defaults to no limit.',
    ),
});

const SOURCES = ['persistentVolumeClaim', 'hostPath', 'nfs', 'configMap', 'secret', 'emptyDir'];

const volumeSchema = z
  .strictObject({
    name: text(63).describe('Name of the volume: a DNS label, unique in the pod.'),
    mountPath: text(1024).describe('Path of the mount in the container of the trainer.'),
    subPath: text(1024)
      .optional()
      .describe('Path within the volume to mount. Defaults to its root.'),
    readOnly: z.boolean().optional().describe('Whether the mount is read-only. Defaults to false.'),
    persistentVolumeClaim: z
      .strictObject({ claimName: text().describe('Name of the PersistentVolumeClaim.') })
      .optional()
      .describe('PersistentVolumeClaim in the namespace of the run.'),
    hostPath: z
      .strictObject({ path: text(1024).describe('Path on the node.') })
      .optional()
      .describe('Folder of the node. Refused unless the installation allows it.'),
    nfs: z
      .strictObject({
        server: text().describe('Host name or IP address of the server.'),
        path: text(1024).describe('Path that the server exports.'),
      })
      .optional()
      .describe('Folder of an NFS server.'),
    configMap: z
      .strictObject({ name: text().describe('Name of the ConfigMap.') })
      .optional()
      .describe('ConfigMap in the namespace of the run.'),
    secret: z
      .strictObject({ secretName: text().describe('Name of the Secret.') })
      .optional()
      .describe('Secret in the namespace of the run.'),
    emptyDir: z
      .strictObject({
        medium: z
          .enum(['', 'Memory'])
          .optional()
          .describe("Storage medium. Memory is a tmpfs. Defaults to the node's disk."),
        sizeLimit: text(64)
          .optional()
          .describe('Maximum size, such as 10Gi. Defaults to no limit.'),
      })
      .optional()
      .describe('Temporary folder that is deleted with the pod.'),
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
  value: z
    .string()
    .max(4096)
    .optional()
    .describe('Value of the variable. Defaults to an empty string.'),
  valueFrom: z
    .looseObject({})
    .optional()
    .describe('Source of the value, such as a key of a Secret. Has the fields of EnvVarSource.')
    .meta(PRESERVE),
});

/** Returns the schema of a Kubernetes object. The operator reads the named fields; the API server checks all of them. */
const kubernetes = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.looseObject(shape).meta(PRESERVE);

const containerSchema = kubernetes({
  name: text(63).describe(
    'Name of the container, unique in the pod. The container of the trainer is named trainer.',
  ),
  image: text(512).optional().describe('Image of the container.'),
  command: z
    .array(z.string().max(32_768))
    .max(256)
    .optional()
    .describe(
      "Command of the container. Defaults to the image's entrypoint. Cannot be set for the trainer.",
    ),
  args: z
    .array(z.string().max(32_768))
    .max(256)
    .optional()
    .describe('Arguments of the command. Cannot be set for the trainer.'),
  env: z
    .array(kubernetes({ name: text().describe('Name of the variable.') }))
    .max(256)
    .optional()
    .describe('Environment variables of the container, merged by name.'),
  volumeMounts: z
    .array(
      kubernetes({
        name: text(63).describe('Name of the volume.'),
        mountPath: text(1024).describe('Path in the container.'),
      }),
    )
    .max(64)
    .optional()
    .describe('Volume mounts of the container, merged by mountPath.'),
  resources: kubernetes({
    requests: quantities
      .optional()
      .describe('Minimum resources by name. The scheduler reserves them.'),
    limits: quantities.optional().describe('Maximum resources by name.'),
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
    .describe(
      'Security context of the container, merged by field. A null value removes a default.',
    ),
});

const podSpecSchema = kubernetes({
  containers: z
    .array(containerSchema)
    .max(16)
    .optional()
    .describe(
      'Containers of the pod, merged by name. The container of the trainer is named trainer; others run beside it.',
    )
    .meta(listMap('name')),
  initContainers: z
    .array(containerSchema)
    .max(16)
    .optional()
    .describe(
      'Init containers of the pod, merged by name. One with restartPolicy Always is a sidecar that ends with the trainer.',
    )
    .meta(listMap('name')),
  volumes: z
    .array(kubernetes({ name: text(63).describe('Name of the volume, unique in the pod.') }))
    .max(64)
    .optional()
    .describe('Volumes of the pod, merged by name.')
    .meta(listMap('name')),
  imagePullSecrets: z
    .array(kubernetes({ name: text().describe('Name of the Secret.') }))
    .max(16)
    .optional()
    .describe('Secrets for pulling images, merged by name.'),
  securityContext: kubernetes({})
    .optional()
    .describe(
      'Security context of the pod, merged by field. Defaults to the security context of the installation, with user and group 65532. A null value, such as runAsUser: null, removes a default.',
    ),
  terminationGracePeriodSeconds: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe(
      'Seconds from the signal to end a pod to its kill, in which the trainer writes a checkpoint. Defaults to 60.',
    ),
  serviceAccountName: text()
    .optional()
    .describe('Service account of the pod. Trainers need no permissions.'),
  priorityClassName: text().optional().describe('Priority class of the pod.'),
  runtimeClassName: text().optional().describe('Runtime class of the pod, such as nvidia.'),
  schedulerName: text().optional().describe('Scheduler of the pod.'),
  nodeSelector: strings(32, 63).optional().describe('Labels that a node must have to run the pod.'),
  tolerations: z
    .array(kubernetes({}))
    .max(32)
    .optional()
    .describe('Tolerations of the pod. This list replaces the tolerations of the installation.'),
  affinity: kubernetes({}).optional().describe('Affinity of the pod, merged by field.'),
  topologySpreadConstraints: z
    .array(kubernetes({}))
    .max(16)
    .optional()
    .describe('Topology spread constraints of the pod, merged by topologyKey.'),
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
      'Fields of a PodSpec, merged strategically onto the pod of the operator; fields that are not listed here are accepted, too. Cannot change the command, the reserved mounts and the reserved variables of the trainer, nor hostname and restartPolicy.',
    ),
};

export const modulePodTemplateSchema = z
  .strictObject(MERGED)
  .describe(
    'Pod template for the trainers of this module, merged onto spec.podTemplate. Ignored outside Kubernetes.',
  );
export type ModulePodTemplate = z.infer<typeof modulePodTemplateSchema>;

const shorthand = (field: string) => `Shorthand for ${field}.`;

export const podTemplateSchema = z
  .strictObject({
    ...MERGED,
    image: text(512).optional().describe(shorthand("the image of the trainer's container")),
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
      .describe('Shorthand for spec.volumes and their mounts in the container of the trainer.'),
    env: z
      .array(envSchema)
      .max(64)
      .optional()
      .describe(shorthand("env of the trainer's container")),
    labels: strings(32, 63).optional().describe(shorthand('metadata.labels')),
    annotations: strings(32, 4096).optional().describe(shorthand('metadata.annotations')),
  })
  .describe(
    `Pod template for all trainers of the run, merged onto the pod of the operator. Its fields metadata and spec are those of a PodTemplateSpec; the others are shorthand. All pod templates and spec.resources together must have at most ${POD_BYTES_MAX.toLocaleString('en')} bytes as JSON. Ignored outside Kubernetes.`,
  );
export type PodTemplate = z.infer<typeof podTemplateSchema>;
