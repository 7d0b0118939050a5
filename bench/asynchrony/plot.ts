import * as vega from 'vega';
import * as vegaLite from 'vega-lite';
import { CLAIM, type Result } from './cases.ts';
import { MODULES } from './run-file.ts';

type Unit = vegaLite.TopLevelSpec & object;

const SIZE = { width: 300, height: 240 };
const LEGEND = { orient: 'bottom', direction: 'vertical', title: null } as const;

/**
 * Plots accuracy over slow-down on the left and the time of each module on the right; returns SVG.
 */
export async function plot(results: readonly Result[]): Promise<string> {
  const { spec } = vegaLite.compile({
    background: 'white',
    config: { font: 'system-ui, sans-serif' },
    resolve: { scale: { color: 'independent' } },
    hconcat: [accuracy(results), time(results)],
  } as Unit);
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return `${svg}\n`;
}

const slowdown = {
  field: 'slowdown',
  type: 'ordinal',
  title: 'slow-down of module two',
  axis: { labelAngle: 0 },
} as const;

const accuracy = (results: readonly Result[]) => ({
  ...SIZE,
  data: {
    values: firstSeed(results).map(({ accuracy, ...one }) => ({
      slowdown: one.slowdown,
      accuracy: 100 * accuracy,
      kind: `${one.policy}, depth ${one.depth}`,
    })),
  },
  mark: { type: 'line', point: true },
  encoding: {
    x: slowdown,
    y: {
      field: 'accuracy',
      type: 'quantitative',
      title: 'probe accuracy of module three, %',
      scale: { zero: false },
    },
    color: { field: 'kind', type: 'nominal', legend: LEGEND },
  },
});

/** At the depth of the claim. */
const time = (results: readonly Result[]) => {
  const ran = firstSeed(results);
  return {
    ...SIZE,
    data: {
      values: ran
        .filter(({ depth }) => depth === CLAIM.depth)
        .flatMap(({ policy, slowdown, seconds }) =>
          MODULES.map((module, i) => ({
            slowdown,
            seconds: seconds[i],
            kind: `${policy}, ${module}`,
          })),
        ),
    },
    mark: { type: 'line', point: true },
    encoding: {
      x: slowdown,
      y: {
        field: 'seconds',
        type: 'quantitative',
        title: `seconds that a module trained for, depth ${CLAIM.depth}`,
      },
      color: { field: 'kind', type: 'nominal', legend: LEGEND },
    },
  };
};

const firstSeed = (results: readonly Result[]): Result[] =>
  results.filter(({ policy, seed }) => policy !== 'synchronous' && seed === 1);
