import { z } from 'zod';
import { validated } from './cel.ts';

export const checkpointsSchema = z
  .strictObject({
    everySeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(60)
      .describe('Seconds between two checkpoints of a trainer. It also writes one when it ends.'),
    keep: z
      .int()
      .min(1)
      .max(100)
      .default(3)
      .describe('Number of most recent checkpoints to keep for each trainer.'),
    storage: z
      .strictObject({
        volumeClaimName: z
          .string()
          .min(1)
          .max(253)
          .optional()
          .describe(
            'Name of a PersistentVolumeClaim in the namespace of the run. Needs access mode ReadWriteMany if pods run on several nodes.',
          ),
        objectStore: z
          .strictObject({})
          .optional()
          .describe(
            'Stores checkpoints in the NATS object store, in a bucket that the operator creates for the run. Must be {}. The NATS server needs file storage.',
          ),
      })
      .optional()
      .describe(
        'Storage of checkpoints: exactly one of volumeClaimName and objectStore. Without storage, a replaced pod trains its module from the start, and the run cannot be evaluated. Ignored outside Kubernetes.',
      )
      .meta(
        validated({
          rule: 'has(self.volumeClaimName) != has(self.objectStore)',
          message: 'storage is either volumeClaimName or objectStore',
        }),
      ),
    retain: z
      .boolean()
      .optional()
      .describe(
        'Whether checkpoints remain when the run is deleted. Defaults to true for volumeClaimName: a new run of the same name continues from them. Defaults to false for objectStore: a new run has its own bucket. If false, removal from a volume may take at most 2 minutes; after that the remaining files stay. Ignored outside Kubernetes.',
      ),
  })
  .describe('Schedule and storage of checkpoints: weights and optimizer state of each module.');
export type Checkpoints = z.infer<typeof checkpointsSchema>;
