import { describe, expect, test } from 'vitest';
import { REASONS } from './names.ts';
import { withRemedy } from './remedies.ts';
import { degraded, natsReachable, notStalled, ready, suspended } from './run-conditions.ts';
import { eventType, isAfterFailure, isTrouble } from './severity.ts';
import { aRun } from './testing/builders.ts';
import type { KubernetesRun, ModuleRow } from './types.ts';

const PASSING = [
  REASONS.noPods,
  REASONS.replacing,
  REASONS.scaledToZero,
  REASONS.turn,
  REASONS.pulling,
  'ContainerCreating',
  'PodInitializing',
  'PodPending',
];
const WAITING = [REASONS.queued, 'SchedulingGated'];
const FAILED = [REASONS.restarting, REASONS.failing, REASONS.trainerFailed];
const OTHER = ['Unschedulable', REASONS.silent, REASONS.nodeLost, 'AReasonOfTomorrow'];

describe('a cause', () => {
  test.each(PASSING)('%s passes: no event, no attention', (reason) => {
    expect([eventType(reason), isTrouble(reason), isAfterFailure(reason)]).toEqual([
      undefined,
      false,
      false,
    ]);
  });

  test.each(WAITING)('%s waits: a Normal event, no attention', (reason) => {
    expect([eventType(reason), isTrouble(reason), isAfterFailure(reason)]).toEqual([
      'Normal',
      false,
      false,
    ]);
  });

  test.each(FAILED)('%s follows a failure: attention, but no second event', (reason) => {
    expect([eventType(reason), isTrouble(reason), isAfterFailure(reason)]).toEqual([
      undefined,
      true,
      true,
    ]);
  });

  test.each(OTHER)('%s needs attention, with a Warning event', (reason) => {
    expect([eventType(reason), isTrouble(reason), isAfterFailure(reason)]).toEqual([
      'Warning',
      true,
      false,
    ]);
  });

  test('that is missing needs no attention', () => expect(isTrouble(undefined)).toBe(false));

  test.each([
    ['Unschedulable', /add nodes .* or ask for less in resources/],
    ['SchedulingGated', /controller that set the gate/],
    ['ErrImagePull', /podTemplate\.image and podTemplate\.imagePullSecrets/],
    ['ImagePullBackOff', /podTemplate\.image and podTemplate\.imagePullSecrets/],
    ['InvalidImageName', /correct podTemplate\.image/],
    ['ErrImageNeverPull', /load the image onto the node/],
    ['CreateContainerConfigError', /Secret or ConfigMap/],
    ['CreateContainerError', /check podTemplate/],
    ['RunContainerError', /check podTemplate/],
    ['FailedMount', /claim in checkpoints\.storage and podTemplate\.volumes/],
    ['FailedAttachVolume', /claim in checkpoints\.storage and podTemplate\.volumes/],
    ['FailedMapVolume', /claim in checkpoints\.storage and podTemplate\.volumes/],
    ['FailedCreatePodSandBox', /network of the node/],
    ['NetworkNotReady', /network of the node/],
    ['FailedCreate', /quota/],
    [REASONS.sidecar, /init container with restartPolicy: Always/],
  ])('%s comes with its remedy, once', (reason, remedy) => {
    const once = withRemedy({ reason, message: 'what Kubernetes says. ; ' });
    expect(once.reason).toBe(reason);
    expect(once.message).toMatch(/^what Kubernetes says; \S/);
    expect(once.message).toMatch(remedy);
    expect(withRemedy(once)).toEqual(once);
  });

  test('without a remedy stays as it is', () => {
    const cause = { reason: 'AReasonOfTomorrow', message: 'words. ' };
    expect(withRemedy(cause)).toEqual(cause);
  });
});

describe('the conditions of a run', () => {
  const row = (name: string, fields: Partial<ModuleRow> = {}): ModuleRow =>
    ({ name, phase: 'Training', replicas: 2, readyReplicas: 2, ...fields }) as ModuleRow;
  const waiting = row('b', { readyReplicas: 1, reason: REASONS.queued });
  const stuck = (name: string, fields: Partial<ModuleRow> = {}) =>
    row(name, { readyReplicas: 0, reason: 'Unschedulable', ...fields });
  const known = (...types: string[]): KubernetesRun => ({
    ...aRun(),
    status: {
      conditions: types.map((type) => ({
        type,
        status: 'True' as const,
        reason: 'A',
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      })),
    },
  });

  test('Ready counts trainers, and names the modules that lack some', () => {
    expect(ready([row('a'), row('b')])).toMatchObject({
      type: 'Ready',
      status: true,
      reason: REASONS.ready,
      message: '4/4 trainers are ready',
    });
    expect(ready([row('a'), waiting, stuck('c')])).toMatchObject({
      status: false,
      reason: REASONS.notReady,
      message: expect.stringMatching(/^3\/6 trainers are ready; .*b, c$/),
    });
  });

  test('Ready is false while no trainer is wanted', () => {
    const none = { replicas: 0, readyReplicas: 0 };
    expect(ready([row('a', none), row('b', none)])).toMatchObject({
      status: false,
      message: '0/0 trainers are ready',
    });
    expect(ready([row('a', none), row('b')]).status).toBe(true);
  });

  test('Degraded names all modules that need attention, and the reason of the first', () => {
    expect(degraded([row('a'), waiting])).toMatchObject({ type: 'Degraded', status: false });
    expect(degraded([row('a'), stuck('b')])).toMatchObject({
      status: true,
      reason: 'Unschedulable',
      message: expect.stringMatching(/^module b:/),
    });
    expect(degraded([stuck('a'), waiting, stuck('c', { reason: 'Other' })])).toMatchObject({
      reason: 'Unschedulable',
      message: expect.stringMatching(/^modules a, c:/),
    });
  });

  test('Degraded tells the last failure where the cause only follows it', () => {
    const lastFailure = { reason: 'OOMKilled' } as ModuleRow['lastFailure'];
    const reasonOf = (reason: string) => degraded([stuck('a', { reason, lastFailure })]).reason;
    expect(reasonOf(REASONS.restarting)).toBe('OOMKilled');
    expect(reasonOf('Unschedulable')).toBe('Unschedulable');
    expect(degraded([stuck('a', { reason: REASONS.restarting })]).reason).toBe(REASONS.restarting);
  });

  test('NATSReachable and Stalled come with trouble, and say when it is over', () => {
    const cause = { reason: REASONS.natsAway, message: 'no answer' };
    expect(natsReachable(known(), cause)).toEqual([
      { type: 'NATSReachable', status: false, ...cause },
    ]);
    expect(natsReachable(known(), undefined)).toEqual([]);
    expect(natsReachable(known('NATSReachable'), undefined)).toMatchObject([
      { type: 'NATSReachable', status: true, reason: REASONS.natsBack },
    ]);
    expect(notStalled(known())).toEqual([]);
    expect(notStalled(known('Stalled'))).toMatchObject([
      { type: 'Stalled', status: false, reason: REASONS.healthy },
    ]);
  });

  test('Suspended is true once all trainers have stopped, and says when it is over', () => {
    const run = known('Suspended');
    const stopping = { ...run, spec: { ...run.spec, suspend: true } };
    const cause = { reason: 'A', message: 'waits for 1 trainer' };
    expect(suspended(stopping, 'Suspended', undefined)).toEqual([
      { type: 'Suspended', status: true, reason: 'Suspended', message: '' },
    ]);
    expect(suspended(stopping, 'Suspending', cause)).toEqual([
      { type: 'Suspended', status: false, reason: 'Suspending', message: 'waits for 1 trainer' },
    ]);
    expect(suspended(run, 'Training', undefined)).toMatchObject([
      { type: 'Suspended', status: false, reason: REASONS.resumed },
    ]);
    expect(suspended(known(), 'Training', undefined)).toEqual([]);
  });
});
