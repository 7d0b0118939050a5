import { below, makeFolder, PICTURES_FOLDER, writeWhole } from '@greedy-infomax/crds';

/** Writes each chart as an SVG file by name into `out`/pictures. Skips undefined charts. */
export function writeCharts(
  out: string,
  charts: Readonly<Record<string, string | undefined>>,
): void {
  const folder = below(out, PICTURES_FOLDER);
  makeFolder(folder);
  for (const [name, svg] of Object.entries(charts)) {
    if (svg !== undefined) writeWhole(below(folder, `${name}.svg`), alone(svg));
  }
}

/** Converts a chart of the page to an SVG file with a namespace, a size and a white background. */
function alone(svg: string): string {
  const [, width = '400', height = '270'] = /viewBox="0 0 (\S+) (\S+)"/.exec(svg) ?? [];
  return `${svg.replace(
    '<svg',
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" style="background:#fff;color:#1d2330"`,
  )}\n`;
}
