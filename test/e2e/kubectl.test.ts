import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseRun, stringifyForKubectl } from '@greedy-infomax/crds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { SCALARS } from '../../crds/src/validation/testing/kubectl-scalars.ts';
import { planRun } from '../../operator/src/plan/run.ts';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { gim } from '../support/gim.ts';

/**
 * Input and output of kubectl: the examples, the objects of `gim render`, columns and explanations.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const EXAMPLES = join(ROOT, 'examples');
const examples = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));

interface Resource {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: Record<string, unknown>;
}

const resourcesOf = (name: string): Resource[] =>
  parseAllDocuments(readFileSync(join(EXAMPLES, name), 'utf8')).map((each) => each.toJS());

/** Kinds of software that is not installed on the test cluster. */
const FOREIGN = ['ScaledObject'];

let cluster: Cluster;
let folder: string;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

function fileOf(text: string): string {
  const file = join(folder, `${Math.random()}.yaml`);
  writeFileSync(file, text);
  return file;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gim-kubectl-'));
  cluster = await startCluster({ nodes: 0 });
  for (const plural of ['greedyinfomaxruns', 'greedyinfomaxmodules']) {
    await kubectl('apply', '-f', `${ROOT}/crds/${plural}.yaml`);
  }
  await cluster.crdsEstablished();
  await kubectl('create', 'namespace', 'greedy-infomax'); // The NATS server of the chart.
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(examples)('examples/%s', (name) => {
  it('is valid', async () => {
    const { code, output } = await gim('validate', join(EXAMPLES, name));
    expect(code, output).toBe(0);
  });

  it('is accepted by the API server', async () => {
    const known = resourcesOf(name).filter(({ kind }) => !FOREIGN.includes(kind));
    const answer = await kubectl(
      'apply',
      '--dry-run=server',
      '-f',
      fileOf(known.map(stringifyForKubectl).join('---\n')),
    );
    expect(answer.split('\n')).toHaveLength(known.length);
  });

  it('renders into objects that the API server accepts', async () => {
    const { code, output } = await gim('render', join(EXAMPLES, name));
    expect(code, output).toBe(0);
    const answer = await kubectl('apply', '--dry-run=server', '-f', fileOf(output));
    const { spec } = parseRun(readFileSync(join(EXAMPLES, name), 'utf8'), name);
    for (const kind of ['job.batch', 'greedyinfomaxmodule', 'configmap']) {
      const lines = answer.split('\n').filter((line) => line.startsWith(kind));
      expect(lines, kind).toHaveLength(spec.modules.length);
    }
  });

  it('scales modules of its own run, if any', () => {
    const run = parseRun(readFileSync(join(EXAMPLES, name), 'utf8'), name);
    const targets = resourcesOf(name).flatMap(({ spec }) => spec?.scaleTargetRef ?? []);
    for (const target of targets) {
      expect(target).toMatchObject({ apiVersion: run.apiVersion, kind: 'GreedyInfoMaxModule' });
      const scaled = run.spec.modules.filter(
        (module) => `${run.metadata.name}-${module.name}` === (target as Resource['metadata']).name,
      );
      expect(scaled.map(({ replicas }) => replicas)).toEqual([undefined]);
    }
  });
});

it('reads scalars as the table of the run files says', async () => {
  const texts = Object.keys(SCALARS);
  const lines = texts.map((text, i) => `  field-${i}: ${text}\n`).join('');
  const object = `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: scalars }\ndata:\n${lines}`;
  const dry = ['--dry-run=client', '--validate=false', '--output=json'];
  const { data } = JSON.parse(await kubectl('create', ...dry, `--filename=${fileOf(object)}`));
  expect(texts.map((text, i) => [text, data[`field-${i}`]])).toEqual(Object.entries(SCALARS));
});

it('examples/keda.yaml watches a consumer of its run, with a threshold below a full buffer', () => {
  const [trigger] = resourcesOf('keda.yaml').flatMap(
    ({ spec }) => (spec?.triggers ?? []) as { metadata: Record<string, string> }[],
  );
  const { stream, consumer, lagThreshold } = trigger?.metadata ?? {};
  const run = parseRun(readFileSync(join(EXAMPLES, 'keda.yaml'), 'utf8'), 'keda.yaml');
  const { streams } = planRun(run, { namespace: 'default', uid: 'a' });
  const planned = streams.find(({ name }) => name === stream);
  expect(planned?.consumer.name).toBe(consumer);
  expect(Number(lagThreshold)).toBeLessThan((planned?.maxMessages ?? 0) / 2);
});

describe('kubectl get', () => {
  const RUN = 'stl10-resnet50';
  const file = join(EXAMPLES, `${RUN}.yaml`);

  beforeAll(async () => {
    const { output } = await gim('render', file);
    await kubectl('apply', '-f', file, '-f', fileOf(output));
    const setStatus = (name: string, status: Record<string, unknown>) =>
      kubectl(
        'patch',
        name,
        '--subresource=status',
        '--type=merge',
        `--patch=${JSON.stringify({ status })}`,
      );
    const long = { phase: 'Suspending', percent: 100 };
    await setStatus(`gimrun/${RUN}`, { ...long, ready: '100/100', etaSeconds: 1_234_567 });
    for (const stage of ['stage1', 'stage2', 'stage3']) {
      const figures = { readyReplicas: 100, loss: 12.3456, samplesPerSecond: 1234.5 };
      await setStatus(`gimmod/${RUN}-${stage}`, { ...long, ...figures });
    }
  });

  it.each(['gimrun,gimmod', 'gimrun --output=wide', 'gimmod --output=wide'])(
    '%s fits into 120 columns',
    async (args) => {
      const shown = await kubectl('get', ...args.split(' '));
      expect(shown).toContain('Suspending');
      for (const line of shown.split('\n')) expect(line.length, line).toBeLessThanOrEqual(120);
    },
  );

  it('all also shows runs and modules', async () => {
    const shown = await kubectl('get', 'all');
    expect(shown).toContain(`greedyinfomaxrun.greedyinfomax.dev/${RUN}`);
    expect(shown).toContain(`greedyinfomaxmodule.greedyinfomax.dev/${RUN}-stage1`);
  });
});

describe('kubectl explain', () => {
  it.each([
    'gimrun.spec',
    'gimrun.spec.buffers',
    'gimrun.spec.podTemplate',
    'gimrun.spec.podTemplate.spec',
    'gimrun.spec.modules.podTemplate.spec',
    'gimrun.status',
    'gimrun.status.modules',
    'gimmod.spec',
    'gimmod.status',
  ])('%s says something about every field', async (path) => {
    const text = await kubectl('explain', path);
    const [, ...fields] = text.slice(text.indexOf('FIELDS:')).split(/\n(?= {2}\w+\t)/);
    expect(fields.length).toBeGreaterThan(2);
    expect(fields.filter((field) => !/\n {4}\w/.test(field))).toEqual([]);
  });

  it('shows defaults, as a part of the description', async () => {
    expect(await kubectl('explain', 'gimrun.spec.batchSize')).toContain('Defaults to 32.');
  });
});
