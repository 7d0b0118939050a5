import type { Report } from '@greedy-infomax/crds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REPORT_BYTES_MAX, ReportStore, RUN_BYTES_MAX } from './report-store.ts';

const UID = '5f3c9d2e-0000-4000-8000-000000000001';
const subject = (module = 'first', replica: number | string = 0, uid = UID) =>
  `gim.team.small.${uid}.report.${module}.${replica}`;

const report = (change: Partial<Report> = {}): Report => ({
  run: UID,
  module: 'first',
  replica: 0,
  phase: 'training',
  step: 10,
  samplesTrained: 320,
  samplesTotal: 640,
  loss: 1.5,
  lossFirst: 2,
  samplesPerSecond: 100,
  stalenessSteps: null,
  stalenessSeconds: null,
  samplesDropped: 0,
  samplesReused: 0,
  checkpointStep: null,
  at: 1_767_225_600_000,
  ...change,
});
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** Creates a store of one run with two modules, the first of two replicas. */
function aStore(uids: ReadonlySet<string> = new Set([UID])) {
  const modules = [
    { name: 'first', replicas: 2 },
    { name: 'second', replicas: 1 },
  ];
  return new ReportStore(({ namespace, name, uid }) =>
    namespace === 'team' && name === 'small' && uids.has(uid) ? modules : undefined,
  );
}

describe('reports of trainers', () => {
  it('belong to whom their subject names, whatever the body says', () => {
    const store = aStore();
    const body = bytes(report({ module: 'second', replica: 7 }));
    expect(store.take(subject('first', 1), body)).toEqual({
      run: { namespace: 'team', name: 'small' },
      isTransition: true,
    });
    expect(store.of(UID)).toMatchObject([{ run: UID, module: 'first', replica: 1 }]);
  });

  it('are transitions when phase or message change', () => {
    const store = aStore();
    const isTransition = (change: Partial<Report>) => {
      const taken = store.take(subject(), bytes(report(change)));
      return 'isTransition' in taken && taken.isTransition;
    };
    expect(isTransition({})).toBe(true);
    expect(isTransition({ step: 11 })).toBe(false);
    expect(isTransition({ step: 11, phase: 'forwarding' })).toBe(true);
    expect(isTransition({ step: 11, phase: 'forwarding', message: 'x' })).toBe(true);
  });

  it.each<[reason: string, subject: string, body: unknown]>([
    ['subject', 'gim.team.small.report.first.0', report()],
    ['subject', `${subject()}.1`, report()],
    ['subject', subject('first', '-1'), report()],
    ['subject', subject('first', '1e2'), report()],
    // An account belongs to a namespace, so its runs can name the uid of any other run.
    ['unknownRun', subject().replace('.team.', '.others.'), report()],
    ['unknownRun', subject().replace('.small.', '.large.'), report()],
    ['unknownRun', subject('first', 0, 'other'), report({ run: 'other' })],
    ['unknownReplica', subject('third'), report()],
    ['unknownReplica', subject('__proto__'), report()],
    ['unknownReplica', subject('first', 2), report()],
    ['tooLarge', subject(), report({ message: 'x'.repeat(REPORT_BYTES_MAX) })],
    ['invalid', subject(), report({ run: 'other' })],
    ['invalid', subject(), report({ at: 1e300 })],
    ['invalid', subject(), report({ samplesTrained: -1 })],
    ['invalid', subject(), report({ others: { '1000': 1 } })],
    ['invalid', subject(), report({ others: { constructor: 1 } })],
    ['invalid', subject(), null],
  ])('are dropped as %s from %s', (reason, from, body) => {
    const store = aStore();
    expect(store.take(from, bytes(body))).toEqual({ dropped: reason });
    expect(store.size).toBe(0);
  });

  it('come once more from replicas that leave', () => {
    let replicas = 2;
    const store = new ReportStore(() => [{ name: 'first', replicas }]);
    store.take(subject('first', 1), bytes(report()));
    replicas = 1;
    expect(store.take(subject('first', 1), bytes(report()))).toHaveProperty('run');
    expect(store.take(subject('first', 2), bytes(report()))).toEqual({ dropped: 'unknownReplica' });
  });

  it('of one run take bounded memory', () => {
    const modules = Array.from({ length: 64 }, (_, i) => ({ name: `m${i}`, replicas: 1000 }));
    const store = new ReportStore(() => modules);
    const message = 'x'.repeat(1000);
    const others = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [i, 1e9]));
    const body = bytes(report({ message, others }));
    const dropped = modules.flatMap(({ name }) =>
      Array.from({ length: 20 }, (_, replica) => store.take(subject(name, replica), body)),
    );
    expect(dropped).toContainEqual({ dropped: 'runFull' });
    expect(store.of(UID).length * body.length).toBeLessThanOrEqual(RUN_BYTES_MAX);
  });

  it('are gone with the run, 1,000 times', () => {
    const there = new Set<string>();
    const store = aStore(there);
    for (let i = 0; i < 1000; i++) {
      const uid = `run-${i}`;
      there.add(uid);
      expect(store.take(subject('first', 0, uid), bytes(report({ run: uid })))).toHaveProperty(
        'run',
      );
      there.delete(uid);
      store.forget(uid);
      // A report in flight does not recreate the entry.
      expect(store.take(subject('first', 0, uid), bytes(report({ run: uid })))).toEqual({
        dropped: 'unknownRun',
      });
    }
    expect(store.size).toBe(0);
  });

  it('of any subject and body are kept or dropped', () => {
    const token = fc.oneof(
      fc.constantFrom('gim', 'report', UID, 'first', '0', '1', '999', '', '>', '*'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    );
    const store = aStore();
    const value = fc.oneof(
      fc.jsonValue(),
      fc
        .tuple(fc.constantFrom(...Object.keys(report()), 'others'), fc.jsonValue())
        .map(([key, part]) => ({ ...report(), [key]: part })),
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 8 }), value, (tokens, body) => {
        store.take(tokens.join('.'), bytes(body));
        store.take(subject(), bytes(body));
        for (const { module, replica } of store.of(UID)) {
          expect([module, replica]).toEqual(['first', 0]);
        }
      }),
      { seed: 29, numRuns: 2000 },
    );
  });
});
