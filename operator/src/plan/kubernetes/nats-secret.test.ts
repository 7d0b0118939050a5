import { expect, test } from 'vitest';
import { isOutdated } from './jobs.ts';
import { base64, credentialsGeneration, secretName } from './nats-secret.ts';
import {
  aJob,
  aPod,
  applied,
  aRun,
  atWork,
  ended,
  OPTIONS,
  plan,
  START,
} from './testing/builders.ts';

const CLOSED = { natsSecret: { user: true } };
const closed = (run = aRun(), observed = {}, options: object = CLOSED) =>
  plan(run, observed, START, options);
const podOf = (options: object) => {
  const [job] = applied(plan(aRun(), {}, START, options), 'Job');
  const spec = job?.spec?.template.spec;
  return { volumes: spec?.volumes, container: spec?.containers[0] };
};

test('without credentials or a certificate there is no Secret, and pods know nothing of one', () => {
  expect(plan(aRun()).credentials).toBeUndefined();
  const { volumes, container } = podOf({});
  expect(JSON.stringify([volumes, container])).not.toMatch(/secret|NATS_CREDS|NATS_CA/i);
});

test('the Secret belongs to this very run and goes with it', () => {
  const { secret } = closed().credentials ?? {};
  expect(secret).toMatchObject({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      namespace: 'team',
      labels: { 'greedyinfomax.dev/run': 'small' },
      ownerReferences: [
        { kind: 'GreedyInfoMaxRun', name: 'small', uid: 'run-1', controller: true },
      ],
    },
  });
  const again = aRun({}, { metadata: { uid: 'run-2' } });
  expect(closed(again).credentials?.secret.metadata?.name).not.toBe(secret?.metadata?.name);
});

test('trainers may report, feed and read the edges of the run, and nothing else', () => {
  expect(closed().credentials?.user).toEqual({
    key: 'nats.creds',
    namespace: 'team',
    uid: 'run-1',
    generation: 0,
    name: 'team/small',
    permissions: {
      publish: [
        'gim.team.small.run-1.report.*.*',
        'gim.team.small.run-1.edge.*',
        'gim.team.small.run-1.edge.*.*',
        'gim.team.small.run-1.state.>',
        '$JS.API.DIRECT.GET.GIM_team_small',
        '$JS.API.DIRECT.GET.GIM_team_small.gim.team.small.run-1.state.>',
        '$JS.API.CONSUMER.MSG.NEXT.GIM_team_small_first.second',
        '$JS.API.CONSUMER.INFO.GIM_team_small_first.second',
        '$JS.ACK.GIM_team_small_first.second.>',
      ],
      subscribe: ['gim.team.small.run-1.control', '_INBOX_team_small.>'],
    },
  });
});

test('with checkpoints in the object store they may use the bucket of the run, without consumers', () => {
  const storage = { objectStore: {} };
  const run = aRun({ checkpoints: { everySeconds: 60, keep: 3, storage } });
  const { publish = [] } = closed(run).credentials?.user?.permissions ?? {};
  expect(publish.filter((subject) => subject.includes('gim_'))).toEqual([
    '$O.gim_team_small_run-1.C.*',
    '$O.gim_team_small_run-1.M.*',
    '$JS.API.DIRECT.GET.OBJ_gim_team_small_run-1',
    '$JS.API.DIRECT.GET.OBJ_gim_team_small_run-1.$O.gim_team_small_run-1.>',
    '$JS.API.STREAM.MSG.GET.OBJ_gim_team_small_run-1',
    '$JS.API.STREAM.INFO.OBJ_gim_team_small_run-1',
    '$JS.API.STREAM.PURGE.OBJ_gim_team_small_run-1',
  ]);
  // A Secret that is there keeps its credentials, so those that allow more lie in another.
  expect(secretName(run)).not.toBe(secretName(aRun()));
});

test('a pod has the Secret as files that it cannot write, beside its configuration', () => {
  const { volumes, container } = podOf({ natsSecret: { user: true, ca: 'PEM' } });
  expect(volumes).toContainEqual({
    name: 'nats-access',
    secret: { secretName: secretName(aRun()) },
  });
  const mountPath = '/etc/greedy-infomax-nats';
  expect(container?.volumeMounts).toContainEqual({
    name: 'nats-access',
    mountPath,
    readOnly: true,
  });
  expect(container?.env).toEqual(
    expect.arrayContaining([
      { name: 'NATS_CREDS', value: `${mountPath}/nats.creds` },
      { name: 'NATS_CA', value: `${mountPath}/ca.crt` },
    ]),
  );
});

test('a certificate alone makes a Secret without a user', () => {
  const { credentials } = closed(aRun(), {}, { natsSecret: { user: false, ca: 'PEM' } });
  expect(credentials).toMatchObject({ secret: { data: { 'ca.crt': base64('PEM') } } });
  expect(credentials?.user).toBeUndefined();
  const { container } = podOf({ natsSecret: { user: false, ca: 'PEM' } });
  expect(container?.env?.map(({ name }) => name)).not.toContain('NATS_CREDS');
});

test('a Job whose pods cannot get in since the server was closed is made anew', () => {
  const [before] = applied(plan(aRun()), 'Job');
  const [after] = applied(plan(aRun(), {}, START, { ...OPTIONS, ...CLOSED }), 'Job');
  expect(before && after && isOutdated(before, after)).toBe(true);
});

test('only a pod of the run that waits for a volume makes the Secret be looked for', () => {
  const missed = (name: string | undefined, reason: string) => {
    const warnings = new Map([[`Pod/${name}`, [{ reason, message: '', at: 0 }]]]);
    return closed(aRun(), { ...atWork(), warnings }).credentials?.missed;
  };
  const { name } = aPod('first').metadata ?? {};
  expect(missed(name, 'FailedMount')).toBe(true);
  expect(missed(name, 'FailedScheduling')).toBe(false);
  expect(missed('of-another-run', 'FailedMount')).toBe(false);
});

test('a run that has ended, or is being deleted, needs none', () => {
  const jobs = [ended(aJob('first'), 'Failed')];
  expect(closed(aRun(), { jobs }).credentials).toBeUndefined();
  const going = aRun({}, { metadata: { deletionTimestamp: START } });
  expect(closed(going).credentials).toBeUndefined();
});

test.each([
  [undefined, 0],
  ['3', 3],
  ['-1', 0],
  ['1.5', 0],
  ['1e3', 0],
  ['99999999999', 0],
])('the generation of credentials in the annotation %j is %i', (text, generation) => {
  const annotations = { ...(text && { 'greedyinfomax.dev/credentials-generation': text }) };
  expect(credentialsGeneration(annotations)).toBe(generation);
});
