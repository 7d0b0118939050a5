import type { PartialModule, PartialSpec } from '../partial-spec.ts';
import type { ValidationError } from '../path.ts';

export const bufferErrors = (spec: PartialSpec): ValidationError[] => [
  ...depthErrors(spec),
  ...blockErrors(spec),
  ...reuseErrors(spec),
];

/** Checks that a batch of each module fits into the buffer that it reads. */
function depthErrors({ buffers, modules }: PartialSpec): ValidationError[] {
  if (!buffers) return [];
  return modules.flatMap(({ name, batchSize }, i) =>
    i > 0 && batchSize !== undefined && buffers.depth < batchSize
      ? [
          {
            path: ['spec', 'buffers', 'depth'],
            message: `${buffers.depth} must be at least ${batchSize}, the batch size of module ${name ?? i}`,
          },
        ]
      : [],
  );
}

const reuseErrors = ({ buffers }: PartialSpec): ValidationError[] =>
  buffers?.reuse === 'always' && buffers.maxReuse === 0
    ? [
        {
          path: ['spec', 'buffers', 'maxReuse'],
          message:
            '0 must be at least 1: with reuse always, each sample is used maxReuse times again',
        },
      ]
    : [];

function blockErrors({ buffers, modules }: PartialSpec): ValidationError[] {
  if (buffers?.whenFull !== 'block') return [];
  const reuse: ValidationError[] =
    buffers.maxReuse > 0
      ? [
          {
            path: ['spec', 'buffers', 'maxReuse'],
            message: `${buffers.maxReuse} must be 0: with whenFull block, every sample is used exactly once`,
          },
        ]
      : [];
  const first = modules[0];
  return [...reuse, ...modules.flatMap((module, i) => batchErrors(module, i, first))];
}

const batchErrors = (module: PartialModule, i: number, first?: PartialModule): ValidationError[] =>
  first?.batchSize !== undefined &&
  module.batchSize !== undefined &&
  module.batchSize !== first.batchSize
    ? [
        {
          path: ['spec', 'modules', i, 'batchSize'],
          message: `${module.batchSize} must be ${first.batchSize}, the batch size of module ${first.name ?? 0}: with whenFull block, all modules use the same samples`,
        },
      ]
    : [];
