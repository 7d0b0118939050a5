import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PICTURES_FOLDER } from '@greedy-infomax/crds';

/** Writes the charts into `out`/pictures, each as an SVG of its own, by name; those that are undefined are left out. */
export function writeCharts(
  out: string,
  charts: Readonly<Record<string, string | undefined>>,
): void {
  const folder = join(out, PICTURES_FOLDER);
  mkdirSync(folder, { recursive: true });
  for (const [name, svg] of Object.entries(charts)) {
    if (svg !== undefined) writeFileSync(join(folder, `${name}.svg`), alone(svg));
  }
}

/** A chart of a page as a file: with a namespace and a size, on white. */
function alone(svg: string): string {
  const [, width = '400', height = '270'] = /viewBox="0 0 (\S+) (\S+)"/.exec(svg) ?? [];
  return `${svg.replace(
    '<svg',
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" style="background:#fff;color:#1d2330"`,
  )}\n`;
}
