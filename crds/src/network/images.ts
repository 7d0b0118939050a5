import {
  type Augmentation,
  type Data,
  type Objective,
  type Patches,
  usesLabels,
} from '../v1alpha1/run.ts';

/** What is known of the images of a data set before it is read. */

const SIZES: Partial<Record<Data['format'], number>> = { digits: 28, cifar10: 32, stl10: 96 };

/** Rows (and columns) of every image; undefined if only the data set can tell. */
export const imageSize = ({ format }: Data): number | undefined => SIZES[format];

/** Channels of an image as it is cut into patches. */
export const imageChannels = ({ format }: Data, { grayscale }: Augmentation): number =>
  grayscale || format === 'digits' || format === 'idx' ? 1 : 3;

/** Rows (and columns) of the grid of patches. */
export const gridSize = ({ crop }: Augmentation, { size, stride }: Patches): number =>
  Math.floor((crop - size) / stride) + 1;

/** Images to train on in the releases that everybody has the same of. */
const TRAINING_IMAGES: Partial<Record<Data['format'], Record<'train' | 'labelled', number>>> = {
  digits: { train: 8000, labelled: 8000 }, // four fifths; the rest is for testing
  cifar10: { train: 50_000, labelled: 50_000 },
  stl10: { train: 100_000, labelled: 5000 }, // without labels, with labels
};

/** Images that an objective on the first module draws from; undefined if only the data set can tell. */
export const trainingImages = ({ format }: Data, objective: Objective): number | undefined =>
  TRAINING_IMAGES[format]?.[trainingSplit(objective)];

/** The part of a data set that an objective trains on. */
export const trainingSplit = (objective: Objective): 'train' | 'labelled' =>
  usesLabels(objective) ? 'labelled' : 'train';
