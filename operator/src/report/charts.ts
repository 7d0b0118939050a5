import type { Objective } from '@greedy-infomax/crds';
import * as vega from 'vega';
import * as vegaLite from 'vega-lite';
import { escapeHtml } from './escape.ts';
import type { EvaluationResult, HistoryLine, ModuleRecord } from './run-files.ts';

/**
 * Draws the charts of a report as SVG text, with one colour per module. Text and axes use `currentColor`, so they
 * follow the page's text colour in light and dark mode. The SVG scales to the width of its container.
 */

const WIDTH = 400;
const HEIGHT = 270;
/** Maximum number of points per curve; screens do not show more. */
const MAX_POINTS = 500;

/** Colours that are readable on white and on near-black. */
export const PALETTE = [
  '#3b82f6',
  '#e8710a',
  '#17a673',
  '#b455e0',
  '#d4a106',
  '#e0457b',
  '#0ea5b7',
];

type Unit = vegaLite.TopLevelSpec & object;

/** Formats as `20k`, but zero as `0`. */
const SHORT = "format(datum.value, '~s')";

/** Returns the colour of module `index` of `count`: distinct colours for a few modules, a rainbow for many. */
export const moduleColour = (index: number, count: number): string =>
  (count <= PALETTE.length && PALETTE[index]) ||
  `hsl(${Math.round((300 * index) / count)} 65% 48%)`;

/** Charts loss over samples, with a dashed line at the loss of guessing. Undefined if no step was recorded. */
export function lossChart(modules: readonly ModuleRecord[]): Promise<string> | undefined {
  const values = curve(modules, ({ loss }) => (loss === null ? [] : [{ y: loss }]));
  if (values.length === 0) return undefined;
  const chances = [...new Set(modules.flatMap(({ config }) => chanceLoss(config.objective) ?? []))];
  const rules = chances.map((chance) => ({ chance, label: 'chance' }));
  return render(`Loss over samples of ${names(modules)}`, {
    layer: [
      line(modules, values, 'loss', { zero: false }),
      {
        data: { values: rules },
        mark: { type: 'rule', strokeDash: [5, 4], color: 'currentColor', opacity: 0.7 },
        encoding: { y: { field: 'chance', type: 'quantitative' } },
      },
      {
        data: { values: rules },
        mark: { type: 'text', align: 'right', dy: -6, x: 'width', color: 'currentColor' },
        encoding: {
          y: { field: 'chance', type: 'quantitative' },
          text: { field: 'label' },
        },
      },
    ],
  });
}

/** Charts staleness in steps over samples: p50 solid, p95 dashed. Undefined if nothing was stale. */
export function stalenessChart(modules: readonly ModuleRecord[]): Promise<string> | undefined {
  const values = curve(modules, ({ stalenessSteps }) =>
    stalenessSteps
      ? [
          { y: stalenessSteps.p50, part: 'p50' },
          { y: stalenessSteps.p95, part: 'p95' },
        ]
      : [],
  );
  if (values.length === 0) return undefined;
  const spec = line(modules, values, 'steps');
  return render(`Staleness in steps over samples of ${names(modules)}`, {
    ...spec,
    encoding: {
      ...spec.encoding,
      strokeDash: {
        field: 'part',
        type: 'nominal',
        scale: { domain: ['p50', 'p95'], range: [[], [3, 3]] },
        legend: null,
      },
      opacity: {
        field: 'part',
        type: 'ordinal',
        scale: { domain: ['p50', 'p95'], range: [1, 0.65] },
        legend: null,
      },
    },
  });
}

/** Charts samples per second over samples. Undefined if nothing was recorded. */
export function speedChart(modules: readonly ModuleRecord[]): Promise<string> | undefined {
  const values = curve(modules, ({ samplesPerSecond }) => [{ y: samplesPerSecond }]);
  if (values.length === 0) return undefined;
  return render(
    `Samples a second over samples of ${names(modules)}`,
    line(modules, values, 'samples/s'),
  );
}

/** Charts the probe accuracy of each module: a bar after training, a line before. */
export function accuracyChart(
  modules: readonly ModuleRecord[],
  evaluation: EvaluationResult,
): Promise<string> {
  const roomForLabels = evaluation.modules.length <= 6;
  const x = {
    field: 'name',
    type: 'nominal',
    sort: null,
    axis: { title: null, labelAngle: roomForLabels ? 0 : -90, labelLimit: 90 },
  } as const;
  const y = (field: string) =>
    ({
      field,
      type: 'quantitative',
      scale: { domain: [0, 1] },
      axis: { title: 'accuracy', format: '.0%', tickCount: 5 },
    }) as const;
  const values = evaluation.modules.map((module) => ({
    ...module,
    top: Math.max(module.accuracy, module.accuracyUntrained),
  }));
  const label = {
    mark: { type: 'text', dy: -8, color: 'currentColor' },
    encoding: {
      x,
      y: y('top'),
      text: { field: 'accuracy', type: 'quantitative', format: '.1%' },
    },
  } as const;
  return render(`Probe accuracy of ${names(modules)}, trained and untrained`, {
    data: { values },
    layer: [
      {
        mark: { type: 'bar', width: { band: 0.62 }, opacity: 0.85 },
        encoding: { x, y: y('accuracy'), color: colour(modules) },
      },
      {
        mark: { type: 'tick', width: { band: 0.8 }, thickness: 2.5, color: 'currentColor' },
        encoding: { x, y: y('accuracyUntrained') },
      },
      ...(roomForLabels ? [label] : []),
    ],
  });
}

/** Returns the loss of guessing, or undefined if it depends on the labels. */
function chanceLoss({ type, negatives = 16 }: Objective): number | undefined {
  return type === 'infoNCE' ? Math.log(1 + negatives) : undefined;
}

/** Returns at most `MAX_POINTS` evenly spaced lines of each module as points of a curve. */
function curve<T>(modules: readonly ModuleRecord[], points: (line: HistoryLine) => T[]) {
  return modules.flatMap(({ config: { name }, history }) =>
    downsample(history, MAX_POINTS).flatMap((line) =>
      points(line).map((point) => ({ name, x: line.samples, ...point })),
    ),
  );
}

/** Returns at most `most` evenly spaced `items`, including the first and the last. */
export function downsample<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  const step = (items.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, i) => items[Math.round(i * step)] as T);
}

export const names = (modules: readonly ModuleRecord[]): string =>
  modules.map(({ config }) => config.name).join(', ');

export const colour = (modules: readonly ModuleRecord[]) =>
  ({
    field: 'name',
    type: 'nominal',
    scale: {
      domain: modules.map(({ config }) => config.name),
      range: modules.map((_, index) => moduleColour(index, modules.length)),
    },
    legend: null,
  }) as const;

function line(
  modules: readonly ModuleRecord[],
  values: readonly { name: string; x: number; y: number }[],
  title: string,
  scale: { zero: boolean } = { zero: true },
) {
  return {
    data: { values: [...values] },
    mark: { type: 'line', strokeWidth: 1.8, strokeJoin: 'round' },
    encoding: {
      x: {
        field: 'x',
        type: 'quantitative',
        axis: { title: 'samples', labelExpr: SHORT, tickCount: 5 },
      },
      y: {
        field: 'y',
        type: 'quantitative',
        scale: { ...scale, nice: true },
        axis: { title, labelExpr: SHORT, tickCount: 5 },
      },
      color: colour(modules),
    },
  } as const;
}

/** Renders a Vega-Lite chart as SVG; `spec` may override the size. */
export async function render(description: string, spec: object): Promise<string> {
  const ink = 'currentColor';
  const { spec: compiled } = vegaLite.compile({
    description,
    width: WIDTH,
    height: HEIGHT,
    autosize: { type: 'fit', contains: 'padding' },
    background: null,
    padding: 4,
    config: {
      font: 'system-ui, sans-serif',
      view: { stroke: null },
      axis: {
        labelColor: ink,
        titleColor: ink,
        titleFontWeight: 'normal',
        domainColor: ink,
        tickColor: ink,
        gridColor: ink,
        gridOpacity: 0.13,
        domainOpacity: 0.5,
        tickOpacity: 0.5,
        labelFontSize: 12,
        titleFontSize: 12,
        titlePadding: 8,
      },
      axisX: { grid: false },
      text: { fontSize: 12 },
    },
    ...spec,
  } as Unit);
  const view = new vega.View(vega.parse(compiled), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return inline(svg, description);
}

/**
 * Prepares an SVG for HTML: removes its namespaces, and its size so that it fits its container. Adds a description for
 * screen readers.
 */
const inline = (svg: string, description: string): string =>
  svg.replace(/^<svg[^>]*>/, (tag) =>
    tag
      .replace(/ (xmlns(:\w+)?|width|height)="[^"]*"/g, '')
      .replace(/^<svg/, () => `<svg role="img" aria-label="${escapeHtml(description)}"`),
  );
