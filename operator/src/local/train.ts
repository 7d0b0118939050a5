import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Control, controlSubject } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { NatsAccess } from '../nats/connection.ts';
import { deleteStreams, ensureStreams } from '../nats/streams.ts';
import { startUpkeep } from '../nats/upkeep.ts';
import { HUNG_SECONDS } from '../plan/kubernetes/names.ts';
import { mayBegin, releasable } from '../plan/order.ts';
import type { RunPlan } from '../plan/run.ts';
import { planStream, type StreamPlan } from '../plan/stream.ts';
import { sharesOf } from '../plan/threads.ts';
import { withoutSecrets } from './child-env.ts';
import { moduleFailure, notSaved } from './errors.ts';
import { finishAll } from './finish-all.ts';
import { moduleFolder, trainerFolder } from './folder.ts';
import { InterruptedError } from './interrupted.ts';
import type { NatsServer } from './nats-server.ts';
import { PeriodicEvaluation } from './periodic-evaluation.ts';
import type { ProgressState } from './progress.ts';
import { Crew } from './replicas.ts';
import { followReports } from './reports.ts';
import type { LocalRunOptions } from './run.ts';
import type { RunReports } from './run-reports.ts';
import type { SharedFolder } from './shared-memory.ts';
import { TRAINER_COMMAND, Trainer, trainerEnv } from './trainer-process.ts';

/** Trains on this machine: starts one process per trainer and keeps the wanted number running until all are done. */

/** Time a trainer has to stop, in milliseconds. Its first step is slow. */
const STOP_WITHIN_MS = 60_000;
/** Time without a heartbeat before a restart, in milliseconds, as on a cluster. */
const HUNG_AFTER_MS = HUNG_SECONDS * 1000;

/** Resources that exist before training begins. */
export interface Parts {
  plan: RunPlan;
  connection: NatsConnection;
  access: NatsAccess;
  /** The run's own server; undefined if it uses an existing one. */
  server: NatsServer | undefined;
  /** Folder through which activations go; null if they go through NATS. */
  shared: SharedFolder | null;
  /** Collects the reports of the trainers. */
  reports: RunReports;
  log: Logger;
}

/** Trains until every module is done. On failure or interruption, stops all trainers with checkpoints and throws. */
export async function train(
  options: LocalRunOptions,
  { plan, connection, access, server, shared, reports, log }: Parts,
  signal: AbortSignal,
): Promise<void> {
  const { out, screen, tickMs = 1000, hungAfterMs = HUNG_AFTER_MS } = options;
  const names = plan.modules.map(({ name }) => name);
  const { order } = options.run.spec;
  const id = { ...plan.run, uid: plan.modules[0]?.uid ?? '' };
  // A killed run of the same name may have left its streams on the user's server.
  const streams = [...streamsOf(plan, shared !== null), plan.state];
  await deleteStreams(connection, streams);
  await ensureStreams(connection, streams);
  const wanted =
    options.replicas ??
    ((name: string) => options.run.spec.modules.find((m) => m.name === name)?.replicas ?? 1);
  // In iterative order only one module trains at a time; earlier ones only forward. Each gets all cores.
  const shares =
    order === 'iterative'
      ? undefined
      : sharesOf(
          availableParallelism(),
          plan.modules.map((module) => ({ module, trainers: wanted(module.name) })),
        );
  const env = {
    NATS_CREDS: access.creds,
    NATS_CA: access.ca,
    SHARED_FOLDER: shared?.path,
  };
  const crews = names.map(
    (module, i) =>
      new Crew(
        module,
        (replica) =>
          new Trainer({
            module,
            replica,
            config: join(moduleFolder(out, module), 'module.json'),
            folder: trainerFolder(out, module, replica),
            natsUrl: access.url,
            command: options.trainerCommand ?? TRAINER_COMMAND,
            env: { ...trainerEnv(withoutSecrets(process.env), shares?.[i], replica), ...env },
            log,
          }),
      ),
  );
  const spent = new Set<string>();
  followReports(connection, id, (report) => {
    const { module } = report;
    reports.note(report);
    const crew = crews.find((each) => each.module === module);
    const done = reports.spent(module, crew?.size ?? 0);
    if (done) spent.add(module);
    else if (done === false) spent.delete(module);
    crew?.noteProgress(report);
  });

  const startedAt = Date.now();
  const progress = (): ProgressState => ({
    run: plan.run.name,
    startedAt,
    modules: crews.map(({ module, state, restarts, size }) => ({
      name: module,
      process: state,
      trainers: size,
      restarts,
      report: reports.of(module, size) ?? null,
    })),
  });
  const control = (released: string[]): Control => ({
    released,
    modules: Object.fromEntries(
      crews.map(({ module, size }) => [
        module,
        { replicas: size, samples: reports.counts.of(module) },
      ]),
    ),
  });
  // Last resort if this process exits without having stopped them.
  const killAll = () => {
    for (const crew of crews) crew.kill();
  };
  process.once('exit', killAll);
  const evaluations = new PeriodicEvaluation({
    out,
    everySamples: options.evaluateEvery,
    modules: names,
    note: screen.note,
  });
  const upkeep = startUpkeep(connection, streams, log, tickMs);
  return finishAll(async (atEnd) => {
    atEnd(() => screen.done());
    atEnd(() => evaluations.stop());
    atEnd(() => upkeep.stop());
    atEnd(() => {
      killAll();
      process.off('exit', killAll);
    });
    for (;;) {
      // The NATS server may have lost the last report when it died.
      for (const { module, state } of crews) if (state === 'done') spent.add(module);
      const begun = mayBegin(order, names, spent);
      for (const crew of crews) {
        crew.scale(wanted(crew.module), STOP_WITHIN_MS);
        if (begun.includes(crew.module)) crew.start();
        crew.killHung(hungAfterMs);
      }
      const released = releasable(names, spent);
      connection.publish(controlSubject(id), JSON.stringify(control(released)));
      screen.show(progress());
      evaluations.consider(
        new Map(
          crews.flatMap(({ module, size }) => {
            const report = reports.of(module, size);
            return report ? [[module, report] as const] : [];
          }),
        ),
      );
      if (crews.every(({ state }) => state === 'done')) return;
      if (crews.some(({ state }) => state === 'failed')) break;
      // A module was stopped after its budget, although later modules still need its output.
      for (const crew of crews) if (!released.includes(crew.module)) crew.restartDone();
      if (!(await pause(tickMs, server ? AbortSignal.any([signal, server.failed]) : signal))) break;
    }
    screen.note('stopping, with checkpoints …');
    await Promise.all(crews.map((crew) => crew.stop(STOP_WITHIN_MS)));
    screen.show(progress());
    const saidBy = ({ module, replica }: Trainer) =>
      reports.each(module).find((report) => report.replica === replica);
    const failed = crews.flatMap((crew) => crew.failed ?? [])[0];
    if (failed) throw moduleFailure(out, failed, saidBy(failed));
    if (server) server.failed.throwIfAborted();
    const unsaved = crews.flatMap((crew) => crew.unsaved);
    const stopped = unsaved.map((trainer) => notSaved(out, trainer, saidBy(trainer)));
    const command = `gim run ${options.file} --out ${options.out} --resume`;
    throw new InterruptedError(
      [
        ...(stopped.length > 0 ? stopped : ['stopped with checkpoints']),
        `go on with: ${command}`,
      ].join('; '),
    );
  });
}

/** Returns the streams of the plan's edges. */
const streamsOf = ({ modules }: RunPlan, shared: boolean): StreamPlan[] =>
  modules.flatMap(({ sink, batchSize }) => (sink ? [planStream(sink, batchSize, shared)] : []));

/** Waits for `ms`. Resolves to false if `signal` aborts first. */
const pause = (ms: number, signal: AbortSignal): Promise<boolean> =>
  sleep(ms, true, { signal }).catch(() => false);
