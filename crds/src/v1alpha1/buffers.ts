import { z } from 'zod';
import { encodingSchema } from '../network/encoding.ts';
import { validated } from './cel.ts';
import { describeValues } from './describe.ts';

export const buffersSchema = z
  .strictObject({
    depth: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(256)
      .describe(
        'Maximum number of samples in a buffer. Cannot be less than the batch size of the module that reads it.',
      ),
    encoding: encodingSchema.default('int8'),
    whenFull: z
      .enum(['dropOldest', 'block'])
      .default('dropOldest')
      .describe(
        describeValues('Policy of a full buffer.', {
          dropOldest:
            'The buffer discards its oldest samples. Producers never wait, and a slow module trains on recent samples.',
          block: 'Producers wait, and each sample is used exactly once. Requires maxReuse 0.',
        }),
      ),
    maxReuse: z
      .int()
      .min(0)
      .max(1000)
      .default(0)
      .describe('Maximum number of times a module uses a sample again after its first use.'),
    reuse: z
      .enum(['whileWaiting', 'always'])
      .default('whileWaiting')
      .describe(
        describeValues('When a module uses samples again.', {
          whileWaiting: 'Only while the buffer has too few new samples for a batch.',
          always:
            'Every sample is used maxReuse + 1 times before newer ones replace it, so that activations are stored for several epochs and computed once. Requires maxReuse of at least 1.',
        }),
      ),
  })
  .describe('Buffers between consecutive modules. Each is a JetStream stream.')
  .meta(
    validated({
      // `has`: the server also tries the rule on the default of buffers, which is {}.
      rule: "!(has(self.whenFull) && self.whenFull == 'block' && has(self.maxReuse) && self.maxReuse > 0)",
      message: 'block uses every sample exactly once, so maxReuse must be 0',
    }),
  );
export type Buffers = z.infer<typeof buffersSchema>;
