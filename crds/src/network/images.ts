import {
  type Augmentation,
  type Data,
  type Objective,
  type Patches,
  usesLabels,
} from '../v1alpha1/run.ts';

/** Facts about the images of a data set that need no reading of it. */

const SIZES: Partial<Record<Data['format'], number>> = { digits: 28, cifar10: 32, stl10: 96 };

/** Returns the rows and columns of every image, or undefined if they are unknown before reading. */
export const imageSize = ({ format }: Data): number | undefined => SIZES[format];

/** Returns the channels of an image when it is cut into patches. */
export const imageChannels = ({ format }: Data, { grayscale }: Augmentation): number =>
  grayscale || format === 'digits' || format === 'idx' ? 1 : 3;

/** Returns the rows and columns of the grid of patches. */
export const gridSize = ({ crop }: Augmentation, { size, stride }: Patches): number =>
  Math.floor((crop - size) / stride) + 1;

/** Number of training images in data sets with a fixed release. */
const TRAINING_IMAGES: Partial<Record<Data['format'], Record<'train' | 'labelled', number>>> = {
  digits: { train: 8000, labelled: 8000 }, // 80 %; the rest is the test set
  cifar10: { train: 50_000, labelled: 50_000 },
  stl10: { train: 100_000, labelled: 5000 }, // 5000 have labels
};

/** Returns the number of images that an objective trains on, or undefined if it is unknown before reading. */
export const trainingImages = ({ format }: Data, objective: Objective): number | undefined =>
  TRAINING_IMAGES[format]?.[trainingSplit(objective)];

/** Returns the part of a data set that an objective trains on. */
export const trainingSplit = (objective: Objective): 'train' | 'labelled' =>
  usesLabels(objective) ? 'labelled' : 'train';
