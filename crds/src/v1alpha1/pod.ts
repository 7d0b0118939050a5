import { z } from 'zod';
import { validated } from './cel.ts';

/** What the pods of a run look like. On one machine none of it is read. */

/** Maximum bytes of `spec.podTemplate` and `spec.resources` together, as JSON. */
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
    requests: quantities
      .optional()
      .describe('What the scheduler sets aside for it, such as cpu: 2.'),
    limits: quantities.optional().describe('What a pod may use, such as nvidia.com/gpu: 1.'),
  })
  .describe('CPU, memory and devices of a trainer, as in a container of a pod.');
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
    .describe('Where its value comes from, as in a container of a pod.')
    .meta({ 'x-kubernetes-preserve-unknown-fields': true }),
});

export const podTemplateSchema = z
  .strictObject({
    image: text(512)
      .optional()
      .describe('Image of the trainer. Default: the one that the operator was started with.'),
    nodeSelector: strings(32, 63).optional().describe('Labels that a node must have.'),
    tolerations: z.array(tolerationSchema).max(32).optional().describe('Taints to put up with.'),
    affinity: z
      .looseObject({})
      .optional()
      .describe('Affinity, as in a pod.')
      .meta({ 'x-kubernetes-preserve-unknown-fields': true }),
    priorityClassName: text().optional().describe('Priority class of the pods.'),
    runtimeClassName: text().optional().describe('Runtime class of the pods, such as nvidia.'),
    serviceAccountName: text()
      .optional()
      .describe('Service account of the pods. Trainers themselves need no rights.'),
    imagePullSecrets: z
      .array(z.strictObject({ name: text().describe('Name of the Secret.') }))
      .max(16)
      .optional()
      .describe('Secrets to pull the image with.'),
    volumes: z
      .array(volumeSchema)
      .max(32)
      .optional()
      .describe('Volumes and where they are mounted, such as the one that holds the data set.'),
    env: z.array(envSchema).max(64).optional().describe('Variables of the trainer.'),
    labels: strings(32, 63).optional().describe('Labels of the pods.'),
    annotations: strings(32, 4096).optional().describe('Annotations of the pods.'),
  })
  .describe(
    `Kubernetes only: what the pods of the run have in common. At most ${POD_BYTES_MAX} bytes as JSON, with spec.resources.`,
  );
export type PodTemplate = z.infer<typeof podTemplateSchema>;
