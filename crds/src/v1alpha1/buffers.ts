import { z } from 'zod';
import { encodingSchema } from '../network/encoding.ts';
import { validated } from './cel.ts';

export const buffersSchema = z
  .strictObject({
    depth: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(256)
      .describe('Samples that the buffer between two modules holds.'),
    encoding: encodingSchema.default('int8'),
    whenFull: z
      .enum(['dropOldest', 'block'])
      .default('dropOldest')
      .describe(
        'dropOldest: producers never wait, a slow module skips to recent samples. block: producers wait, every sample is used exactly once.',
      ),
    maxReuse: z
      .int()
      .min(0)
      .max(1000)
      .default(0)
      .describe('Times that a module may use a sample again; see reuse.'),
    reuse: z
      .enum(['whileWaiting', 'always'])
      .default('whileWaiting')
      .describe(
        'whileWaiting: a sample is used again only while newer ones are missing. always: a module keeps depth samples and takes newer ones only as these have been used maxReuse + 1 times, so that activations are stored for several epochs and the module before need not make them again.',
      ),
  })
  .describe('The buffers between modules.')
  .meta(
    validated({
      // `has`: the server also tries the rule on the default of buffers, which is {}.
      rule: "!(has(self.whenFull) && self.whenFull == 'block' && has(self.maxReuse) && self.maxReuse > 0)",
      message: 'block uses every sample exactly once, so maxReuse must be 0',
    }),
  );
export type Buffers = z.infer<typeof buffersSchema>;
