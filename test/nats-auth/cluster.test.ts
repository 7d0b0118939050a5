import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { inboxPrefix } from '@greedy-infomax/crds';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { NatsAuth } from '../../operator/src/nats-keys/keys.ts';
import { connectNats } from '../../trainer/src/nats/connect.ts';
import {
  CHECKOUT_VOLUMES,
  CLUSTER_TIMEOUT,
  type Cluster,
  NODE_IMAGE,
  startCluster,
} from '../support/cluster.ts';
import { TINY } from '../support/gim.ts';
import { type OperatorProcess, startOperator } from '../support/operator.ts';
import { type ClosedNats, startClosedNats } from './closed-nats.ts';

/**
 * From keys created in the cluster to pods that train over TLS, each run with its own credentials.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const INIT = join(ROOT, 'operator/src/nats-keys/main.ts');

let cluster: Cluster;
let closed: ClosedNats;
let operator: OperatorProcess;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
const read = async (...args: string[]) => JSON.parse(await kubectl('get', ...args, '-o=json'));

async function init(): Promise<string> {
  const flags = ['--namespace=default', '--secret=nats-auth', `--kubeconfig=${cluster.kubeconfig}`];
  const node = ['--disable-warning=ExperimentalWarning', INIT, ...flags];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, node);
  return stdout + stderr;
}

const dataOf = async (secret: string): Promise<Record<string, string>> =>
  Object.fromEntries(
    Object.entries((await read('secret', secret)).data as Record<string, string>).map(
      ([key, value]) => [key, Buffer.from(value, 'base64').toString()],
    ),
  );

const secretOf = async (run: string): Promise<string> =>
  (await kubectl('get', 'secrets', `-l=greedyinfomax.dev/run=${run}`, '-o=name')).replace(
    'secret/',
    '',
  );

/** The tiny run, with this checkout mounted from the node. */
async function applyRun(name: string, podTemplate: object): Promise<void> {
  const run = parse(TINY);
  run.metadata.name = name;
  run.spec.podTemplate = { volumes: CHECKOUT_VOLUMES, ...podTemplate };
  await cluster.apply(stringify(run));
}

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, gpus: 3 });
  const definitions = ['greedyinfomaxmodules', 'greedyinfomaxruns'].map(
    (name) => `--filename=${join(ROOT, 'crds', `${name}.yaml`)}`,
  );
  await kubectl('apply', ...definitions);
  await cluster.crdsEstablished();
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  await operator?.stop();
  await closed?.stop();
  await cluster?.stop();
});

it('init creates the keys once and does not print them', async () => {
  const first = await init();
  expect(first).toContain('made keys for NATS');
  const { metadata } = await read('secret', 'nats-auth');
  const second = await init();
  expect(second).toContain('left the keys for NATS as they are');
  expect((await read('secret', 'nats-auth')).metadata).toEqual(metadata);
  expect(first + second).not.toMatch(/eyJ|\bS[AU][A-Z2-7]{20}/);
});

it('a run gets a Secret that admits its trainers, and no write follows', async () => {
  const auth = (await dataOf('nats-auth')) as unknown as NatsAuth;
  closed = await startClosedNats({ tls: true, host: cluster.hostAddress, auth });
  operator = await startOperator({
    kubeconfig: cluster.kubeconfig,
    natsUrl: closed.nats.url,
    trainerImage: NODE_IMAGE,
    flags: [
      `--nats-creds=${closed.systemCreds}`,
      `--nats-operator-key=${closed.operatorSeed}`,
      `--nats-ca=${closed.ca}`,
    ],
  });
  await applyRun('waiting', { nodeSelector: { 'no-node': 'has-this' } });
  const scheduled = async () => JSON.stringify((await read('gimrun', 'waiting')).status ?? {});
  await expect.poll(scheduled).toMatch(/didn't match Pod's node/);
  const name = await secretOf('waiting');
  const [job] = (await read('jobs', '-l=greedyinfomax.dev/run=waiting')).items;
  expect(JSON.stringify(job.spec.template.spec.volumes)).toContain(name);

  const { uid } = (await read('gimrun', 'waiting')).metadata;
  const { 'nats.creds': creds = '', 'ca.crt': ca = '' } = await dataOf(name);
  const trainer = await connectNats(
    {
      natsUrl: closed.nats.url,
      natsCreds: closed.write('waiting.creds', creds),
      natsCa: closed.write('waiting.ca', ca),
      inboxPrefix: inboxPrefix({ namespace: 'default', name: 'waiting' }),
    },
    'trainer',
  );
  // No stream responds until the operator has created it.
  const published = async () =>
    (await trainer.request(`gim.default.waiting.${uid}.edge.one`, '{}')).json();
  await expect.poll(published).toMatchObject({ stream: 'GIM_default_waiting_one' });
  await trainer.close();

  const writes = async () =>
    (await (await fetch(operator.metricsUrl)).text())
      .split('\n')
      .filter((line) =>
        /^greedyinfomax_rest_client_requests_total.*method="(POST|PATCH|DELETE)"/.test(line),
      )
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  // A slow machine takes longer until the last status is written.
  const writesInEightSeconds = async () => {
    const before = await writes();
    await new Promise((done) => setTimeout(done, 8000));
    return (await writes()) - before;
  };
  await expect.poll(writesInEightSeconds, { timeout: 120_000 }).toBe(0);
});

it('the Secret of a deleted run is deleted with it', async () => {
  await kubectl('delete', 'gimrun', 'waiting', '--timeout=60s');
  await expect.poll(() => secretOf('waiting')).toBe('');
});

it('a run trains in pods that connect over TLS with the run’s credentials', async () => {
  await applyRun('closed', {});
  const phase = async () => (await read('gimrun', 'closed')).status?.phase;
  await expect
    .poll(phase, { timeout: 400_000, interval: 1000 })
    .toSatisfy((value) => value === 'Complete' || value === 'Failed');
  const told = `${await kubectl('describe', 'pods')}\n${operator.output()}`.slice(-4000);
  expect(await phase(), told).toBe('Complete');
}, 460_000);
