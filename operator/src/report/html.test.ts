import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { writeReport } from './html.ts';
import { makeSummary } from './summary.ts';
import {
  makeConfig,
  makeHistory,
  makeReport,
  makeRunFolder,
  type TestModule,
} from './testing/run.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function reportOf(
  modules: readonly TestModule[],
  files: Record<string, string | Uint8Array> = {},
) {
  const out = makeRunFolder(modules, files);
  folders.push(out);
  await writeReport(out);
  return readFileSync(join(out, 'report.html'), 'utf8');
}

const three: TestModule[] = ['m1', 'm2', 'm3'].map((name, index) => ({
  config: makeConfig(name, index),
  history: makeHistory(900, index),
}));
const evaluation = JSON.stringify({
  modules: three.map(({ config: { name } }, i) => ({
    name,
    accuracy: 0.9 + 0.02 * i,
    accuracyUntrained: 0.7 - 0.1 * i,
  })),
});

/** Writes pictures as an evaluation does: an embedding for one module, patches for another. */
const pictures = {
  'pictures/embeddings.json': JSON.stringify({
    m1: [],
    m2: [
      { x: 1, y: 2, label: 3 },
      { x: -1, y: 0.5, label: 7 },
    ],
  }),
  'pictures/m1-patches.png': Uint8Array.of(1, 2, 3),
};

function finishedFiles(): Record<string, string> {
  const out = makeRunFolder(three, { 'evaluation.json': evaluation });
  folders.push(out);
  const summary = makeSummary({
    out,
    reports: new Map(three.map(({ config: { name } }) => [name, makeReport(name)])),
    wallSeconds: 125,
    versions: { node: '24.0.0', odd: '<b>"1"</b>' },
  });
  return {
    'evaluation.json': evaluation,
    'summary.json': JSON.stringify(summary),
    'run.yaml': 'metadata:\n  name: digits # <script>alert("&")</script>\n',
  };
}

/** Returns the tags that are not closed in order, or not at all. */
function unbalancedTags(html: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, slash, tag = '', closed] of html.matchAll(
    /<(\/?)([a-zA-Z][\w-]*)(?:"[^"]*"|'[^']*'|[^"'>])*?(\/?)>/g,
  )) {
    if (closed || ['meta', 'img'].includes(tag)) continue;
    if (!slash) open.push(tag);
    else if (open.pop() !== tag) wrong.push(tag);
  }
  return [...wrong, ...open];
}

const charts = (html: string): string[] => html.match(/<svg.*?<\/svg>/gs) ?? [];

describe('the report', () => {
  it('shows six charts, the summary and the settings of a finished run', async () => {
    const html = await reportOf(three, finishedFiles());
    expect(charts(html)).toHaveLength(6);
    expect(html).toContain('<title>digits · Greedy InfoMax</title>');
    expect(html).toContain('2.831 -&gt; 1.104');
    expect(html).toContain('3 modules, each trained on its own loss, 2 min 5 s');
    expect(html).toContain('conv 3×3 32 / 2 relu · 2 × residual 32');
    expect(html).toContain('94.0%');
  });

  it('is well formed, with pictures and without', async () => {
    expect(unbalancedTags(await reportOf(three, finishedFiles()))).toEqual([]);
    expect(unbalancedTags(await reportOf(three, { ...finishedFiles(), ...pictures }))).toEqual([]);
  });

  it('shows what the modules have learned to see, in the page itself', async () => {
    const html = await reportOf(three, { ...finishedFiles(), ...pictures });
    expect(charts(html)).toHaveLength(6 + 1);
    expect(html).toContain('Test samples in the features of m2');
    const [source, ...others] = [...html.matchAll(/ src="([^"]*)"/g)].map(([, src]) => src);
    expect(source).toBe(`data:image/png;base64,${Buffer.from([1, 2, 3]).toString('base64')}`);
    expect(others).toEqual([]);
    expect(await reportOf(three)).not.toContain('Patches that excite units');
  });

  it('leaves its charts as files, too', async () => {
    await reportOf(three, { ...finishedFiles(), ...pictures });
    const folder = join(folders.at(-1) as string, 'pictures');
    for (const name of [
      'loss',
      'linear-probe',
      'error',
      'staleness',
      'speed',
      'memory',
      'm2-embedding',
    ]) {
      const svg = readFileSync(join(folder, `${name}.svg`), 'utf8');
      expect(svg, name).toMatch(/^<svg xmlns="http:[^>]* width="[\d.]+" height="[\d.]+"/);
      expect(unbalancedTags(svg), name).toEqual([]);
    }
    await reportOf(three);
    expect(existsSync(join(folders.at(-1) as string, 'pictures/linear-probe.svg'))).toBe(false);
  });

  it('escapes what users write', async () => {
    const html = await reportOf(three, finishedFiles());
    expect(html).toContain('&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;');
    expect(html).toContain('odd &lt;b&gt;&quot;1&quot;&lt;/b&gt;');
    expect(html).not.toContain('<b>"1"');
  });

  it('asks nothing of the network and runs no script', async () => {
    const html = await reportOf(three, finishedFiles());
    expect(html).not.toMatch(/https?:|\/\/\w|url\(|@import|<script|<link|<img|\bsrc=|\bhref=/i);
  });

  it('gives its charts no size, so that they fit a phone', async () => {
    const html = await reportOf(three, finishedFiles());
    for (const chart of charts(html)) expect(chart).toMatch(/^<svg(?![^>]* width=)[^>]* viewBox="/);
  });

  it('draws at most 500 points of a curve', async () => {
    const [loss = ''] = charts(await reportOf(three));
    const lengths = [...loss.matchAll(/ d="(M[^"]*)"/g)].map(
      ([, path = '']) => path.split('L').length,
    );
    expect(Math.max(...lengths)).toBe(500);
  });

  it('draws chance where the loss is infoNCE, and not where it is on labels', async () => {
    const labelled = three.map(({ config, history }) => ({
      config: { ...config, objective: { type: 'classLabels' as const, classes: 10 } },
      history,
    }));
    expect(charts(await reportOf(three))[0]).toContain('>chance<');
    expect(charts(await reportOf(labelled))[0]).not.toContain('>chance<');
  });

  it('says that a run was not evaluated and has no summary', async () => {
    const html = await reportOf(three);
    expect(charts(html)).toHaveLength(4);
    expect(html).toContain('The modules were not evaluated.');
    expect(html).toContain('The run left no summary');
  });

  it('says that a single module has no staleness', async () => {
    expect(await reportOf(three.slice(0, 1))).toContain('nothing can be stale');
  });

  it('stands even when a run ended before anything', async () => {
    const html = await reportOf([], { 'run.yaml': 'kind: GreedyInfoMaxRun\n' });
    expect(charts(html)).toEqual([]);
    expect(unbalancedTags(html)).toEqual([]);
    expect(html).toContain('The run ended before its modules were planned.');
    expect(html).toContain('kind: GreedyInfoMaxRun');
  });
});
