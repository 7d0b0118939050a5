import { afterAll, beforeAll, expect, it } from 'vitest';
import { JOBS, LEASES } from '../../operator/src/kube/resource.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import { type OperatorProcess, startOperator } from '../support/operator.ts';
import { aRun, eventually, NAMESPACE, openScene, type Scene } from './scene.ts';

/** Two installations on one cluster: each run is acted on by one of them. */

let scene: Scene;
const operators: OperatorProcess[] = [];
beforeAll(async () => {
  scene = await openScene();
  for (const name of ['first', 'second', 'third', 'team']) {
    await scene.kubectl('create', 'namespace', name);
  }
}, CLUSTER_TIMEOUT);
afterAll(async () => {
  await Promise.all(operators.map((each) => each.kill()));
  await scene?.close();
});

async function install(namespace: string, ...flags: string[]): Promise<OperatorProcess> {
  const operator = await startOperator({
    kubeconfig: scene.cluster.kubeconfig,
    natsUrl: scene.nats.url,
    flags: [`--lease-namespace=${namespace}`, `--trainer-image=test.local/${namespace}`, ...flags],
  });
  operators.push(operator);
  return operator;
}
const readyz = async ({ healthUrl }: OperatorProcess) =>
  (await fetch(`${healthUrl}/readyz`)).text();
const leads = async (namespace: string) => {
  const lease = await scene.client.get(LEASES, namespace, 'greedy-infomax-operator');
  return Boolean(lease?.spec?.holderIdentity);
};
/** Images of the Jobs of a run: each installation has its own. */
async function imagesOf(run: string, namespace = NAMESPACE): Promise<string[]> {
  const { items } = await scene.client.list(JOBS, namespace, {
    query: { labelSelector: `greedyinfomax.dev/run=${run}` },
  });
  return [...new Set(items.map(({ spec }) => spec?.template.spec?.containers[0]?.image ?? 'none'))];
}

it('the second installation waits, names the first, and takes over when that is removed', async () => {
  const first = await install('first');
  await eventually('the first to lead', () => leads('first'), { operator: first });
  const second = await install('second');
  const said = await eventually(
    'the second to say why it waits',
    async () => {
      const text = await readyz(second);
      return text.includes('neighbours failed') && text;
    },
    { operator: second },
  );
  expect(said).toContain('the operator in namespace first');
  expect(said).toContain('remove one of the two installations');
  await scene.create(aRun('one'));
  await eventually('Jobs', async () => (await imagesOf('one')).length > 0, { operator: first });
  expect(await imagesOf('one')).toEqual(['test.local/first']);
  expect(await leads('second')).toBe(false);
  expect(second.output().match(/remove one of the two/g)).toHaveLength(1);

  expect(await first.stop()).toBe(0);
  await eventually('the second to lead', () => leads('second'), { operator: second });
  await scene.create(aRun('two'));
  await eventually('Jobs', async () => (await imagesOf('two')).length > 0, { operator: second });
  expect(await imagesOf('two')).toEqual(['test.local/second']);
  await eventually('a ready operator', async () => (await readyz(second)).endsWith('\nok\n'));
});

it('an installation for all namespaces leaves those of another alone', async () => {
  const team = await install('third', '--namespaces=team');
  await eventually('the third to lead', () => leads('third'), { operator: team });
  await eventually('the others to see it', async () => {
    const lease = await scene.client.get(LEASES, 'third', 'greedy-infomax-operator');
    return lease?.metadata.annotations?.['greedyinfomax.dev/namespaces'] === 'team';
  });
  await new Promise((done) => setTimeout(done, 5000)); // the others look every 2 s
  const run = aRun('theirs');
  await scene.create({ ...run, metadata: { ...run.metadata, namespace: 'team' } });
  await scene.create(aRun('ours'));
  await eventually('Jobs of both', async () => {
    const images = [await imagesOf('theirs', 'team'), await imagesOf('ours')];
    return images.every((each) => each.length > 0);
  });
  expect(await imagesOf('theirs', 'team')).toEqual(['test.local/third']);
  expect(await imagesOf('ours')).toEqual(['test.local/second']);
});
