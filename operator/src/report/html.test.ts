import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { writeReport } from './html.ts';
import { makeSummary } from './summary.ts';
import { makeConfig, makeHistory, makeReport, makeRunFolder, type TestModule } from './test-run.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function reportOf(modules: readonly TestModule[], files: Record<string, string> = {}) {
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

/** Tags that are open when another one ends, or at the end. */
function unbalancedTags(html: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, slash, tag = '', closed] of html.matchAll(
    /<(\/?)([a-zA-Z][\w-]*)(?:"[^"]*"|'[^']*'|[^"'>])*?(\/?)>/g,
  )) {
    if (closed || tag === 'meta') continue;
    if (!slash) open.push(tag);
    else if (open.pop() !== tag) wrong.push(tag);
  }
  return [...wrong, ...open];
}

const charts = (html: string): string[] => html.match(/<svg.*?<\/svg>/gs) ?? [];

describe('the report', () => {
  it('shows four charts, the summary and the settings of a finished run', async () => {
    const html = await reportOf(three, finishedFiles());
    expect(charts(html)).toHaveLength(4);
    expect(html).toContain('<title>digits · Greedy InfoMax</title>');
    expect(html).toContain('2.831 -&gt; 1.104');
    expect(html).toContain('3 modules, each trained on its own loss, 2 min 5 s');
    expect(html).toContain('conv 3×3 32 / 2 relu · 2 × residual 32');
    expect(html).toContain('94.0%');
  });

  it('is well formed', async () => {
    expect(unbalancedTags(await reportOf(three, finishedFiles()))).toEqual([]);
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
    expect(charts(html)).toHaveLength(3);
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
