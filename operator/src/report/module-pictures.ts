import { escapeHtml } from './escape.ts';
import { classColour, embeddingChart, labelsOf } from './probe-charts.ts';
import { type ModuleRecord, readEmbeddings, readPatches } from './run-files.ts';

/** Returns the section of the page with the modules' embeddings and patches, and its charts by name. */
export async function modulePictures(
  out: string,
  modules: readonly ModuleRecord[],
): Promise<{ html: string; charts: Record<string, string> }> {
  const embeddings = readEmbeddings(out) ?? {};
  const charts: Record<string, string> = {};
  const places: string[] = [];
  const patches: string[] = [];
  for (const { config } of modules) {
    const svg = await embeddingChart(config.name, embeddings);
    if (svg !== undefined) {
      charts[`${config.name}-embedding`] = svg;
      places.push(panel(config.name, svg));
    }
    const png = readPatches(out, config.name);
    if (png !== undefined) patches.push(panel(config.name, image(config.name, png)));
  }
  const html = [
    part(
      'Patches that excite units',
      'A row a unit, the strongest patch first, of the test images. Units are those that single out most.',
      patches,
    ),
    part(
      'Where samples lie',
      'Features of test samples, laid out in a plane by UMAP: what a module takes for alike lies close together. It saw no label while it trained, unless its objective has labels.',
      places,
      legend(labelsOf(embeddings)),
    ),
  ].join('\n');
  return { html, charts };
}

const part = (title: string, caption: string, panels: readonly string[], head = ''): string =>
  panels.length === 0
    ? ''
    : `<section><h2>${title}</h2><p>${caption}</p>${head}<div class="modules">${panels.join('')}</div></section>`;

const panel = (name: string, content: string): string =>
  `<figure><figcaption><b>${escapeHtml(name)}</b></figcaption>${content}</figure>`;

const image = (name: string, png: Buffer): string =>
  `<img alt="Patches that excite units of ${escapeHtml(name)}" src="data:image/png;base64,${png.toString('base64')}">`;

const legend = (labels: readonly number[]): string =>
  `<ul class="legend">${labels
    .map((label, index) => `<li><i style="background:${classColour(index)}"></i>${label}</li>`)
    .join('')}</ul>`;
