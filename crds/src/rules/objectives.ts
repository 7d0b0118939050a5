import type { Draft } from '../draft.ts';
import { gridSize } from '../images.ts';
import type { Mistake, Path } from '../path.ts';
import { OBJECTIVE_FIELDS, type Objective, predictionReach } from '../run.ts';

export function objectiveMistakes(draft: Draft): Mistake[] {
  const placed: { path: Path; objective: Objective | undefined }[] = [
    { path: ['spec', 'objective'], objective: draft.objective },
    ...draft.modules.flatMap(({ objective, own }, i) =>
      own.includes('objective') ? [{ path: ['spec', 'modules', i, 'objective'], objective }] : [],
    ),
  ];
  return placed.flatMap(({ path, objective }) =>
    objective
      ? [
          ...fieldMistakes(path, objective),
          ...classesMistakes(path, objective),
          ...gridMistakes(path, objective, draft),
        ]
      : [],
  );
}

function fieldMistakes(path: Path, objective: Objective): Mistake[] {
  const fields: readonly string[] = OBJECTIVE_FIELDS[objective.type];
  return Object.keys(objective)
    .filter((field) => field !== 'type' && !fields.includes(field))
    .map((field) => ({
      path: [...path, field],
      message: `the objective ${objective.type} has no ${field}; it takes ${fields.join(', ')}`,
    }));
}

const classesMistakes = (path: Path, { type, classes }: Objective): Mistake[] =>
  type === 'classLabels' && classes === undefined
    ? [
        {
          path: [...path, 'classes'],
          message: 'is missing; classLabels needs the number of classes of the data set',
        },
      ]
    : [];

function gridMistakes(
  path: Path,
  objective: Objective,
  { augmentation, patches }: Draft,
): Mistake[] {
  if (objective.type !== 'infoNCE' || !augmentation || !patches) return [];
  if (patches.size > augmentation.crop) return []; // A mistake of its own.
  const rows = gridSize(augmentation, patches);
  const { predictionSteps, skip } = predictionReach(objective);
  const needed = predictionSteps + skip + 1;
  return rows < needed
    ? [
        {
          path,
          message: `predictionSteps ${predictionSteps} and skip ${skip} need a grid of at least ${needed} rows; crop ${augmentation.crop} with patches of ${patches.size} every ${patches.stride} pixels has ${rows}. Predict fewer steps, make the crop larger, or the patches smaller or closer`,
        },
      ]
    : [];
}
