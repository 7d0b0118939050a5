import { colour, names, PALETTE, render } from './charts.ts';
import type { Embeddings, EvaluationResult, ModuleRecord } from './run-files.ts';

/** Charts the results of the modules: probe error, memory and embeddings. */

/** Colours of the classes of an embedding, distinct on white and on near-black. */
const CLASS_COLOURS = [...PALETTE, '#8b95a5', '#9c6b3f', '#84b52e'];

export const classColour = (index: number): string =>
  CLASS_COLOURS[index % CLASS_COLOURS.length] as string;

/** Colours of the questions, which are the same for each module. */
const QUESTIONS = ['#3b82f6', '#e8710a', '#17a673'];

/** Charts the probe error of each module: solid after training, dashed before. */
export function errorChart(
  modules: readonly ModuleRecord[],
  evaluation: EvaluationResult,
): Promise<string> {
  const values = evaluation.modules.flatMap(({ name, accuracies, ...pair }) =>
    Object.entries(accuracies ?? { 'linear probe': pair }).flatMap(([question, found]) => [
      { name, question, weights: 'trained', error: 1 - found.accuracy },
      { name, question, weights: 'untrained', error: 1 - found.accuracyUntrained },
    ]),
  );
  const questions = [...new Set(values.map(({ question }) => question))];
  const last = evaluation.modules.at(-1)?.name;
  const encoding = {
    x: {
      field: 'name',
      type: 'nominal',
      sort: null,
      scale: { type: 'point', padding: 0.5 },
      axis: { title: null, labelAngle: modules.length <= 6 ? 0 : -90, labelLimit: 90 },
    },
    y: {
      field: 'error',
      type: 'quantitative',
      scale: { zero: true, nice: true },
      axis: { title: 'error', format: '.0%', tickCount: 5 },
    },
    color: {
      field: 'question',
      type: 'nominal',
      scale: { domain: questions, range: QUESTIONS },
      legend: null,
    },
  } as const;
  return render(`Probe error of ${names(modules)}, trained and untrained`, {
    data: { values },
    layer: [
      {
        mark: { type: 'line', strokeWidth: 1.8, point: { size: 45, filled: true } },
        encoding: {
          ...encoding,
          strokeDash: {
            field: 'weights',
            type: 'nominal',
            scale: { domain: ['trained', 'untrained'], range: [[], [4, 3]] },
            legend: null,
          },
        },
      },
      // Moves labels apart if their lines end close together.
      ...(['trained', 'untrained'] as const)
        .filter((weights) => weights === 'trained' || questions.length === 1)
        .map((weights) => ({
          data: { values: values.filter((each) => each.name === last && each.weights === weights) },
          mark: { type: 'text', dy: weights === 'trained' ? 16 : -12, color: 'currentColor' },
          encoding: {
            x: encoding.x,
            y: encoding.y,
            text: { field: questions.length > 1 ? 'question' : 'weights' },
          },
        })),
    ],
  });
}

/** Charts the peak memory of a process of each module. Undefined if none was reported. */
export function memoryChart(modules: readonly ModuleRecord[]): Promise<string> | undefined {
  const values = modules.flatMap(({ config: { name }, history }) => {
    const bytes = Math.max(...history.map(({ memoryBytes = 0 }) => memoryBytes), 0);
    return bytes > 0 ? [{ name, megabytes: bytes / 1e6 }] : [];
  });
  if (values.length === 0) return undefined;
  const few = values.length <= 6;
  const x = {
    field: 'name',
    type: 'nominal',
    sort: null,
    axis: { title: null, labelAngle: few ? 0 : -90, labelLimit: 90 },
  } as const;
  const y = {
    field: 'megabytes',
    type: 'quantitative',
    // Leaves room for the number above the highest bar.
    scale: { domainMax: 1.1 * Math.max(...values.map(({ megabytes }) => megabytes)) },
    axis: { title: 'MB', tickCount: 5 },
  } as const;
  return render(`Peak memory of ${names(modules)}`, {
    data: { values },
    layer: [
      {
        mark: { type: 'bar', width: { band: 0.62 }, opacity: 0.85 },
        encoding: { x, y, color: colour(modules) },
      },
      ...(few
        ? [
            {
              mark: { type: 'text', dy: -8, color: 'currentColor' },
              encoding: {
                x,
                y,
                text: { field: 'megabytes', type: 'quantitative', format: ',.0f' },
              },
            },
          ]
        : []),
    ],
  });
}

/** Charts the embedding of test samples by the features of `module`, one colour per class. Undefined without samples. */
export function embeddingChart(
  module: string,
  embeddings: Embeddings,
): Promise<string> | undefined {
  const points = embeddings[module] ?? [];
  if (points.length === 0) return undefined;
  const labels = labelsOf(embeddings);
  const axis = { axis: null, scale: { zero: false, nice: false } } as const;
  return render(`Test samples in the features of ${module}`, {
    width: 260,
    height: 260,
    data: { values: points },
    mark: { type: 'circle', size: 16, opacity: 0.8 },
    encoding: {
      x: { field: 'x', type: 'quantitative', ...axis },
      y: { field: 'y', type: 'quantitative', ...axis },
      color: {
        field: 'label',
        type: 'nominal',
        scale: { domain: labels, range: labels.map((_, index) => classColour(index)) },
        legend: null,
      },
    },
  });
}

/** Returns the classes of an embedding, in order. */
export const labelsOf = (embeddings: Embeddings): number[] =>
  [
    ...new Set(Object.values(embeddings).flatMap((points) => points.map(({ label }) => label))),
  ].sort((a, b) => a - b);
