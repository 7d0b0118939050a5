import * as vega from 'vega';
import * as vegaLite from 'vega-lite';
import type { Curve } from './measure.ts';

type Unit = vegaLite.TopLevelSpec & object;

/**
 * Plots one panel per curve with logarithmic axes; the dashed line is linear growth. Returns SVG.
 */
export async function plot(curves: readonly Curve[]): Promise<string> {
  const { spec } = vegaLite.compile({
    background: 'white',
    config: { font: 'system-ui, sans-serif' },
    columns: 2,
    concat: curves.map(panel),
  } as Unit);
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return `${svg}\n`;
}

function panel({ what, x, y, points }: Curve): object {
  const [first] = points;
  const linear = points.map((point) => ({
    x: point.x,
    y: ((first?.y ?? 1) * point.x) / (first?.x ?? 1),
  }));
  const axis = (field: string, title: string) => ({
    field,
    type: 'quantitative',
    title,
    scale: { type: 'log', nice: false },
  });
  const encoding = { x: axis('x', x), y: axis('y', y) };
  return {
    title: what,
    width: 280,
    height: 200,
    layer: [
      {
        data: { values: linear },
        mark: { type: 'line', color: '#999', strokeDash: [4, 4] },
        encoding,
      },
      { data: { values: points }, mark: { type: 'line', point: true }, encoding },
    ],
  };
}
