import { z } from 'zod';
import { validated } from './cel.ts';

export const checkpointsSchema = z
  .strictObject({
    everySeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(60)
      .describe('Seconds between checkpoints; one is always written at the end.'),
    keep: z.int().min(1).max(100).default(3).describe('Checkpoints of a module that are kept.'),
    storage: z
      .strictObject({
        volumeClaimName: z
          .string()
          .min(1)
          .max(253)
          .optional()
          .describe('A claim in the namespace of the run that every trainer can write to.'),
        objectStore: z
          .strictObject({})
          .optional()
          .describe(
            'The bucket of the run in the object store of its NATS server, which the operator makes; give {}. The server needs file storage.',
          ),
      })
      .optional()
      .describe('Kubernetes only: where checkpoints lie, a volume or a bucket.')
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
        'Kubernetes only: keep the checkpoints when the run is deleted. Default true on a volume: a new run of the same name then goes on from them. False: deleting the run removes them, unless that takes more than two minutes. Default false for a bucket: a new run has a bucket of its own.',
      ),
  })
  .describe('When weights and optimizer state are saved.');
export type Checkpoints = z.infer<typeof checkpointsSchema>;
