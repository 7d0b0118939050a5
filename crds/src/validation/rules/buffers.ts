import type { Draft, DraftModule } from '../partial-spec.ts';
import type { Mistake } from '../path.ts';

export const bufferMistakes = (draft: Draft): Mistake[] => [
  ...depthMistakes(draft),
  ...blockMistakes(draft),
  ...reuseMistakes(draft),
];

/** The deepest batch that a module takes from a buffer must fit into it. */
function depthMistakes({ buffers, modules }: Draft): Mistake[] {
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

const reuseMistakes = ({ buffers }: Draft): Mistake[] =>
  buffers?.reuse === 'always' && buffers.maxReuse === 0
    ? [
        {
          path: ['spec', 'buffers', 'maxReuse'],
          message:
            '0 must be at least 1: with reuse always each sample is used maxReuse times again',
        },
      ]
    : [];

function blockMistakes({ buffers, modules }: Draft): Mistake[] {
  if (buffers?.whenFull !== 'block') return [];
  const reuse: Mistake[] =
    buffers.maxReuse > 0
      ? [
          {
            path: ['spec', 'buffers', 'maxReuse'],
            message: `${buffers.maxReuse} must be 0: with whenFull block every sample is used exactly once`,
          },
        ]
      : [];
  const first = modules[0];
  return [...reuse, ...modules.flatMap((module, i) => batchMistakes(module, i, first))];
}

const batchMistakes = (module: DraftModule, i: number, first?: DraftModule): Mistake[] =>
  first?.batchSize !== undefined &&
  module.batchSize !== undefined &&
  module.batchSize !== first.batchSize
    ? [
        {
          path: ['spec', 'modules', i, 'batchSize'],
          message: `${module.batchSize} must be ${first.batchSize}, the batch size of module ${first.name ?? 0}: with whenFull block all modules use the same samples`,
        },
      ]
    : [];
