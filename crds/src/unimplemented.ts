import { isObject, type Mistake, type Path, show } from './path.ts';

/** What is planned for the API and refused so far, so that nobody believes it has an effect. */

interface Row {
  /** `*` stands for every item of a list. */
  path: string;
  /** Whether a value is one of those that are refused. Default: any. */
  when?: (value: unknown) => boolean;
  /** What to do instead. */
  instead: string;
}

const oneOf =
  (...values: unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);

const objective = (path: string): Row => ({
  path,
  when: oneOf('predSim', 'deepInfoMax'),
  instead: 'use infoNCE or classLabels',
});

const LEAVE_OUT = 'leave it out';

const ROWS: readonly Row[] = [
  { path: 'spec.averaging', instead: LEAVE_OUT },
  { path: 'spec.checkpoints.storage.objectStore', instead: 'use volumeClaimName' },
  {
    path: 'spec.order',
    when: oneOf('iterative'),
    instead: 'leave it out: all modules train at once',
  },
  {
    path: 'spec.modules.*.replicas',
    when: (value) => typeof value === 'number' && value > 1,
    instead: 'leave it out or set it to 1',
  },
  objective('spec.objective.type'),
  objective('spec.modules.*.objective.type'),
];

/** Everything in `run` that is not implemented yet. */
export const unimplementedMistakes = (run: unknown): Mistake[] =>
  ROWS.flatMap(({ path, when = () => true, instead }) =>
    matches(run, path.split('.'))
      .filter(({ value }) => when(value))
      .map(({ path, value }) => ({
        path,
        message: `${typeof value === 'object' ? '' : `${show(value)} `}is not implemented yet; ${instead}`,
      })),
  );

function matches(
  value: unknown,
  [key, ...rest]: string[],
  at: Path = [],
): { path: Path; value: unknown }[] {
  if (key === undefined) return [{ path: at, value }];
  if (key === '*') {
    return Array.isArray(value) ? value.flatMap((item, i) => matches(item, rest, [...at, i])) : [];
  }
  return isObject(value) && key in value ? matches(value[key], rest, [...at, key]) : [];
}
