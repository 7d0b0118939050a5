import { imageChannels, imageSize } from '../../network/images.ts';
import { domainOf } from '../../network/sample-shape.ts';
import type { PartialSpec } from '../partial-spec.ts';
import type { ValidationError } from '../path.ts';

const IMAGE_FIELDS = ['augmentation', 'patches'];
const SPEECH_FIELDS = ['window'];

export const dataErrors = (spec: PartialSpec): ValidationError[] => [
  ...pathErrors(spec),
  ...viewErrors(spec),
  ...cropErrors(spec),
  ...patchErrors(spec),
  ...normalizeErrors(spec),
];

const pathErrors = ({ data }: PartialSpec): ValidationError[] =>
  data && data.format !== 'digits' && data.path === undefined
    ? [
        {
          path: ['spec', 'data', 'path'],
          message: `is missing; ${data.format} needs the folder of the data set (only digits are included in the program)`,
        },
      ]
    : [];

/** Checks that images have augmentation and patches, and speech a window. Fields without effect are errors. */
function viewErrors({ data, own }: PartialSpec): ValidationError[] {
  if (!data) return [];
  const [needs, none] =
    domainOf(data) === 'speech' ? [SPEECH_FIELDS, IMAGE_FIELDS] : [IMAGE_FIELDS, SPEECH_FIELDS];
  return [
    ...needs
      .filter((field) => !own.includes(field))
      .map((field) => ({ path: ['spec', field], message: `is missing; ${data.format} needs it` })),
    ...none
      .filter((field) => own.includes(field))
      .map((field) => ({
        path: ['spec', field],
        message: `has no effect for ${data.format}, which needs ${needs.join(' and ')}; remove it`,
      })),
  ];
}

function cropErrors({ data, augmentation }: PartialSpec): ValidationError[] {
  const size = data && imageSize(data);
  if (!augmentation || size === undefined) return [];
  const { crop, pad } = augmentation;
  return crop > size + 2 * pad
    ? [
        {
          path: ['spec', 'augmentation', 'crop'],
          message: `${crop} must be at most ${size + 2 * pad}: images of ${data?.format} have ${size} rows and columns, and pad adds ${pad} on each side`,
        },
      ]
    : [];
}

const patchErrors = ({ patches, augmentation }: PartialSpec): ValidationError[] =>
  patches && augmentation && patches.size > augmentation.crop
    ? [
        {
          path: ['spec', 'patches', 'size'],
          message: `${patches.size} must be at most ${augmentation.crop}, the size of the crop that patches are cut from`,
        },
      ]
    : [];

function normalizeErrors({ data, augmentation }: PartialSpec): ValidationError[] {
  const normalize = augmentation?.normalize;
  if (!data || !normalize) return [];
  const channels = imageChannels(data, augmentation);
  return (['mean', 'std'] as const)
    .filter((field) => normalize[field].length !== channels)
    .map((field) => ({
      path: ['spec', 'augmentation', 'normalize', field],
      message: `has ${normalize[field].length} values; ${data.format}${augmentation.grayscale ? ' in grayscale' : ''} needs ${channels}, one per channel`,
    }));
}
