import { join } from 'node:path';
import { writeWhole } from '@greedy-infomax/crds';
import { accuracyChart, lossChart, moduleColour, speedChart, stalenessChart } from './charts.ts';
import { escapeHtml } from './escape.ts';
import { formatDuration } from './format.ts';
import { modulePictures } from './module-pictures.ts';
import { writeCharts } from './picture-files.ts';
import { errorChart, memoryChart } from './probe-charts.ts';
import {
  type EvaluationResult,
  type ModuleRecord,
  readEvaluation,
  readJson,
  readModules,
  readText,
} from './run-files.ts';
import { moduleSettings, runSettings } from './settings.ts';
import { STYLE } from './style.ts';
import { type Summary, summaryCells, summarySchema } from './summary.ts';

/**
 * Writes `out`/report.html, a self-contained page without scripts and requests, and its charts into `out`/pictures.
 * Names the missing parts of a run that failed. Throws a `BrokenFileError` if a file is broken.
 */
export async function writeReport(out: string): Promise<void> {
  const modules = readModules(out);
  const evaluation = readEvaluation(out);
  const summary = readJson(join(out, 'summary.json'), summarySchema);
  const title = modules[0]?.config.run.name ?? 'A run without modules';
  const staleless =
    modules.length === 1
      ? 'There is one module, which reads the data set: nothing can be stale.'
      : 'No module noted how stale its samples were.';
  const [loss, accuracy, error, staleness, speed, memory, pictures] = await Promise.all([
    lossChart(modules),
    evaluation && accuracyChart(modules, evaluation),
    evaluation && modules.length > 1 ? errorChart(modules, evaluation) : undefined,
    stalenessChart(modules),
    speedChart(modules),
    memoryChart(modules),
    modulePictures(out, modules),
  ]);
  const charts = {
    loss,
    'linear-probe': accuracy,
    error,
    staleness,
    speed,
    memory,
    ...pictures.charts,
  };
  if (modules.length > 0) writeCharts(out, charts);
  const body = [
    header(title, modules, summary),
    section('Result', summarySection(summary)),
    `<section><h2>Course</h2>${legend(modules)}<div class="charts">`,
    figure('Loss', 'Each module optimises its own.', loss, 'No module made a step.'),
    figure(
      'Linear probe',
      'Test accuracy on the frozen features of each module. The stroke across a bar: the same module before training.',
      accuracy,
      'The modules were not evaluated.',
    ),
    error === undefined
      ? ''
      : figure('Error from module to module', errorCaption(evaluation), error, ''),
    figure(
      'Staleness',
      'Optimizer steps that the module before had made since it computed the samples used. Line: median; dashed: 95th percentile.',
      staleness,
      staleless,
    ),
    figure('Speed', 'Samples trained a second.', speed, 'No module made a step.'),
    figure(
      'Memory',
      'The most that the process of each module has had, resident, with its buffers and TensorFlow itself.',
      memory,
      'No module told.',
    ),
    '</div></section>',
    pictures.html,
    section('Settings', settingsSection(modules, readText(join(out, 'run.yaml')))),
  ].join('\n');
  const file = join(out, 'report.html');
  writeWhole(file, page(title, body));
}

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · Greedy InfoMax</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;

const section = (title: string, body: string): string =>
  `<section><h2>${title}</h2>${body}</section>`;

function header(title: string, modules: readonly ModuleRecord[], summary: Summary | undefined) {
  const count = modules.length === 1 ? '1 module' : `${modules.length} modules`;
  const time = summary ? `, ${formatDuration(summary.wallSeconds)}` : '';
  const told = modules.length > 0 ? `: ${count}, each trained on its own loss${time}` : '';
  return `<header><h1>${escapeHtml(title)}</h1><p>Greedy InfoMax${told}.</p></header>`;
}

function summarySection(summary: Summary | undefined): string {
  if (!summary) {
    return paragraph(
      'The run left no summary: it failed or was stopped before its end. What its modules noted until then stands below.',
    );
  }
  const versions = Object.entries(summary.versions).map(([name, version]) => `${name} ${version}`);
  return (
    table(summaryCells(summary), 'figures') +
    paragraph(
      'Loss: mean of the first 10 steps, and of the last. Stale: steps, 50th and 95th percentile.',
    ) +
    (versions.length > 0 ? paragraph(`Made with ${versions.join(', ')}.`) : '')
  );
}

function settingsSection(modules: readonly ModuleRecord[], runFile: string | undefined): string {
  const configs = modules.map(({ config }) => config);
  const [first] = configs;
  const resolved = first
    ? `${definitions(runSettings(first))}${table(moduleSettings(configs), 'words')}`
    : paragraph('The run ended before its modules were planned.');
  const given =
    runFile === undefined
      ? paragraph('The run file was not kept.')
      : `<details><summary>Run file</summary><pre>${escapeHtml(runFile)}</pre></details>`;
  return resolved + given;
}

const errorCaption = (evaluation: EvaluationResult | undefined): string =>
  `Of the linear probe. Line: trained; dashed: before training.${
    evaluation?.modules.some(({ accuracies }) => accuracies)
      ? ' A colour for each question that is asked of the features.'
      : ''
  }`;

const legend = (modules: readonly ModuleRecord[]): string =>
  `<ul class="legend">${modules
    .map(
      ({ config }, index) =>
        `<li><i style="background:${moduleColour(index, modules.length)}"></i>${escapeHtml(config.name)}</li>`,
    )
    .join('')}</ul>`;

const figure = (
  title: string,
  caption: string,
  svg: string | undefined,
  missing: string,
): string =>
  svg === undefined
    ? `<figure><figcaption><b>${title}</b> ${missing}</figcaption></figure>`
    : `<figure><figcaption><b>${title}</b> ${caption}</figcaption>${svg}</figure>`;

const paragraph = (text: string): string => `<p>${escapeHtml(text)}</p>`;

const definitions = (pairs: readonly (readonly [string, string])[]): string =>
  `<dl>${pairs
    .map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`)
    .join('')}</dl>`;

function table({ titles, rows }: { titles: string[]; rows: string[][] }, kind: string): string {
  const head = titles.map((title) => `<th scope="col">${escapeHtml(title)}</th>`).join('');
  const body = rows
    .map(([name = '', ...cells]) => {
      const rest = cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('');
      return `<tr><th scope="row">${escapeHtml(name)}</th>${rest}</tr>`;
    })
    .join('');
  return `<div class="wide"><table class="${kind}"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}
