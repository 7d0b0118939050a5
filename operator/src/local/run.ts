import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Control, controlSubject, type Run } from '@greedy-infomax/crds';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { openLog } from '../log.ts';
import { connectionOptions, type NatsAccess } from '../nats/connection.ts';
import { deleteStreams, ensureStreams } from '../nats/streams.ts';
import { startUpkeep } from '../nats/upkeep.ts';
import { HUNG_SECONDS } from '../plan/kubernetes/names.ts';
import { mayBegin } from '../plan/order.ts';
import { releasable } from '../plan/release.ts';
import { planRun, type RunPlan } from '../plan/run.ts';
import type { Summary } from '../report/summary.ts';
import { Crew } from './crew.ts';
import { evaluateRun } from './evaluation.ts';
import { moduleFailure } from './failure.ts';
import {
  checkFresh,
  checkResumable,
  clearLeftovers,
  moduleFolder,
  readRecord,
  trainerFolder,
  writeModules,
  writeRecord,
} from './folder.ts';
import { InterruptedError } from './interrupted.ts';
import { findNatsServer } from './nats-binary.ts';
import { memoryFor, type NatsServer, startNatsServer } from './nats-server.ts';
import { PeriodicReadouts } from './periodic-readouts.ts';
import type { ProgressState } from './progress.ts';
import { followReports } from './reports.ts';
import { RunReports } from './run-reports.ts';
import type { Screen } from './screen.ts';
import { summarise } from './summarise.ts';
import { TRAINER_COMMAND, Trainer, trainerEnv } from './trainers.ts';

/** Carries a run out on this machine: a NATS server, a process a module, and this loop above them. */

export interface LocalRunOptions {
  /** The run file, to be copied. */
  file: string;
  run: Run;
  /** Folder of all that the run writes. */
  out: string;
  resume: boolean;
  /** A server to use instead of one of the run's own. */
  nats?: NatsAccess;
  natsPort?: number;
  /** Path of nats-server. */
  natsServer?: string;
  evaluate: boolean;
  /** Samples of the slowest module after which the run is read out, and again. Default: at the end alone. */
  evaluateEvery?: number;
  dataSetSize?: number;
  /** What a relative data path is relative to. */
  baseDir?: string;
  screen: Screen;
  /** How many trainers a module should have now; asked again and again. Default: what the run file says, else 1. */
  replicas?: (module: string) => number;
  /** Default: the trainer of this project. */
  trainerCommand?: readonly string[];
  /** A trainer without a sign of life for so long is killed and started again, in milliseconds. Default: 5 minutes. */
  hungAfterMs?: number;
  /** How often the run is looked after, in milliseconds. Default: a second. */
  tickMs?: number;
}

/** There is no NATS server where there should be one. */
export class NatsUnreachableError extends Error {
  override readonly name = 'NatsUnreachableError';
}

/** A trainer may be in its first, slow step when it is asked to stop. */
const STOP_WITHIN_MS = 60_000;
/** As on a cluster. */
const HUNG_AFTER_MS = HUNG_SECONDS * 1000;

/**
 * Trains the run to its end and sums it up in `out`. Aborting `signal` stops it with checkpoints and throws
 * an `InterruptedError`. Throws a `ModuleFailedError` when a module is given up, a `RunFolderError` when
 * `out` does not fit, a `PlanError`, a `NatsServerError` and the like before anything starts.
 */
export async function runLocally(options: LocalRunOptions, signal: AbortSignal): Promise<Summary> {
  const out = resolve(options.out);
  const { screen } = options;
  const record = options.resume ? readRecord(out) : undefined;
  const uid = record?.uid ?? randomUUID();
  const plan = planRun(options.run, {
    namespace: 'local',
    uid,
    dataSetSize: options.dataSetSize,
    baseDir: options.baseDir,
    // Who may change the number gets room for the weights of two.
    ...(options.replicas && { replicas: (name) => Math.max(2, options.replicas?.(name) ?? 1) }),
  });
  if (options.resume) checkResumable(out, plan.modules);
  else checkFresh(out);
  const binary = options.nats ? undefined : await findNatsServer(options.natsServer);

  mkdirSync(out, { recursive: true });
  if (!options.resume) clearLeftovers(out);
  copyFileSync(options.file, join(out, 'run.yaml'));
  writeModules(out, plan.modules);

  const startedAt = Date.now();
  const reports = new RunReports(record?.reports);
  let versions = record?.versions ?? {};
  const save = () =>
    writeRecord(out, {
      uid,
      wallSeconds: (record?.wallSeconds ?? 0) + (Date.now() - startedAt) / 1000,
      versions,
      reports: plan.modules.flatMap(({ name }) => {
        const heard = reports.each(name);
        const before = record?.reports.filter(({ module }) => module === name) ?? [];
        const silent = before.filter(({ replica }) => !heard.some((r) => r.replica === replica));
        return [...heard, ...silent];
      }),
    });
  save();

  const log = openLog(join(out, 'run.log')).child({ run: plan.run.name });
  const server = binary && (await startServer(binary, out, options.natsPort, plan, log));
  try {
    const access = server ? { url: server.url } : (options.nats as NatsAccess);
    const connection = await connectTo(access);
    try {
      versions = versionsOf(connection);
      await train({ ...options, out }, { plan, connection, access, server, reports, log }, signal);
    } finally {
      save();
      await leave(connection, plan, log);
    }
  } finally {
    await (server || undefined)?.stop();
  }

  if (options.evaluate) await evaluateRun(out, (line) => screen.note(line), { signal });
  save();
  return summarise(out);
}

interface Parts {
  plan: RunPlan;
  connection: NatsConnection;
  access: NatsAccess;
  server: NatsServer | undefined | '';
  /** Filled with what trainers report. */
  reports: RunReports;
  log: Logger;
}

/** Trains until every module is done; in any other case stops them all, with checkpoints, and throws. */
async function train(
  options: LocalRunOptions,
  { plan, connection, access, server, reports, log }: Parts,
  signal: AbortSignal,
): Promise<void> {
  const { out, screen, tickMs = 1000, hungAfterMs = HUNG_AFTER_MS } = options;
  const names = plan.modules.map(({ name }) => name);
  const { order } = options.run.spec;
  const id = { ...plan.run, uid: plan.modules[0]?.uid ?? '' };
  // What a killed run of the same name has left on a server of the user's own is not this run's.
  const streams = [...plan.streams, plan.state];
  await deleteStreams(connection, streams);
  await ensureStreams(connection, streams);
  const wanted =
    options.replicas ??
    ((name: string) => options.run.spec.modules.find((m) => m.name === name)?.replicas ?? 1);
  const trainersAtFirst = names.reduce((sum, name) => sum + wanted(name), 0);
  // In iterative order one trains, and those before it only forward.
  const atOnce = order === 'iterative' ? 1 : trainersAtFirst;
  const env = {
    ...trainerEnv(process.env, availableParallelism(), atOnce),
    NATS_CREDS: access.creds,
    NATS_CA: access.ca,
  };
  const crews = names.map(
    (module) =>
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
            env,
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
  // The last resort, when this process ends without having stopped them.
  const killAll = () => {
    for (const crew of crews) crew.kill();
  };
  process.once('exit', killAll);
  const readouts = new PeriodicReadouts({
    out,
    everySamples: options.evaluateEvery,
    modules: names,
    note: screen.note,
  });
  const upkeep = startUpkeep(connection, streams, log, tickMs);
  try {
    for (;;) {
      // Its last report may have been lost with the NATS server.
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
      readouts.consider(
        new Map(
          crews.flatMap(({ module, size }) => {
            const report = reports.of(module, size);
            return report ? [[module, report] as const] : [];
          }),
        ),
      );
      if (crews.every(({ state }) => state === 'done')) return;
      if (crews.some(({ state }) => state === 'failed')) break;
      // One that ended although later modules still need it, since somebody stopped it after its budget.
      for (const crew of crews) if (!released.includes(crew.module)) crew.restartDone();
      if (!(await pause(tickMs, server ? AbortSignal.any([signal, server.failed]) : signal))) break;
    }
    screen.note('stopping, with checkpoints …');
    await Promise.all(crews.map((crew) => crew.stop(STOP_WITHIN_MS)));
    screen.show(progress());
    const failed = crews.flatMap((crew) => crew.failed ?? [])[0];
    const said = reports.each(failed?.module ?? '').find((r) => r.replica === failed?.replica);
    if (failed) throw moduleFailure(out, failed, said);
    if (server) server.failed.throwIfAborted();
    throw new InterruptedError(
      `stopped with checkpoints; go on with: gim run ${options.file} --out ${options.out} --resume`,
    );
  } finally {
    killAll();
    process.off('exit', killAll);
    await upkeep.stop();
    await readouts.stop();
    screen.done();
  }
}

function startServer(
  binary: string,
  out: string,
  port: number | undefined,
  { streams, state }: RunPlan,
  log: Logger,
): Promise<NatsServer> {
  const memoryBytes = memoryFor([...streams, state]);
  return startNatsServer({ binary, folder: join(out, 'nats'), port, memoryBytes, log });
}

async function connectTo(access: NatsAccess): Promise<NatsConnection> {
  try {
    return await connect({ ...connectionOptions(access), name: 'gim' });
  } catch (error) {
    throw new NatsUnreachableError(
      `no NATS server answers at ${access.url} (${(error as Error).message}); give the URL of one with JetStream to --nats, with --nats-creds and --nats-ca if it asks for them, or leave it out`,
      { cause: error },
    );
  }
}

/** A server of the user's own must not keep the run's streams. */
async function leave(
  connection: NatsConnection,
  { streams, state }: RunPlan,
  log: Logger,
): Promise<void> {
  try {
    await deleteStreams(connection, [...streams, state]);
  } catch (error) {
    log.warn({ err: error }, 'could not delete the streams');
  }
  await connection.close();
}

/** Of what the results depend on. */
function versionsOf(connection: NatsConnection): Record<string, string> {
  const require = createRequire(import.meta.url);
  const { version } = require('@tensorflow/tfjs-node-gpu/package.json') as { version: string };
  return {
    node: process.versions.node,
    'nats-server': connection.info?.version ?? 'unknown',
    '@tensorflow/tfjs-node-gpu': version,
  };
}

/** False when `signal` ended the pause. */
const pause = (ms: number, signal: AbortSignal): Promise<boolean> =>
  sleep(ms, true, { signal }).catch(() => false);
