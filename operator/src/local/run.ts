import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { below, makeFolder, type Run, writeWhole } from '@greedy-infomax/crds';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { openLog } from '../log.ts';
import { connectionOptions, type NatsAccess } from '../nats/connection.ts';
import { deleteStreams } from '../nats/streams.ts';
import { planRun, type RunPlan } from '../plan/run.ts';
import type { Summary } from '../report/summary.ts';
import { evaluateRun } from './evaluation.ts';
import { finishAll } from './finish-all.ts';
import {
  checkFresh,
  checkResumable,
  clearLeftovers,
  type RunRecord,
  readRecord,
  writeModules,
  writeRecord,
} from './folder.ts';
import { checkUnlocked, lockFolder } from './lock.ts';
import { findNatsServer } from './nats-binary.ts';
import { memoryFor, NATS_FOLDER, type NatsServer, startNatsServer } from './nats-server.ts';
import { RunReports } from './run-reports.ts';
import type { Screen } from './screen.ts';
import { makeSharedFolder, type SharedFolder } from './shared-memory.ts';
import { summarise } from './summarise.ts';
import { train } from './train.ts';

/** Executes a run on this machine: starts a NATS server, trains, evaluates and writes the summary. */

export interface LocalRunOptions {
  /** Path of the run file. The run folder gets a copy. */
  file: string;
  run: Run;
  /** Folder of the run's files. */
  out: string;
  resume: boolean;
  /** Existing NATS server. Default: the run starts its own. */
  nats?: NatsAccess;
  natsPort?: number;
  /** Path of nats-server. */
  natsServer?: string;
  /** Whether trainers exchange activations in shared memory if it is large enough. Default: true. */
  sharedMemory?: boolean;
  evaluate: boolean;
  /** Samples of the slowest module between two evaluations. Default: one evaluation, at the end. */
  evaluateEvery?: number;
  dataSetSize?: number;
  /** Base folder of a relative data path. */
  baseDir?: string;
  screen: Screen;
  /** Returns the wanted number of trainers of a module. Called every tick. Default: `replicas` of the run file, else 1. */
  replicas?: (module: string) => number;
  /** Command of a trainer. Default: the trainer of this project. */
  trainerCommand?: readonly string[];
  /** Time without a heartbeat before a trainer is restarted, in milliseconds. Default: 5 minutes. */
  hungAfterMs?: number;
  /** Time between two checks of the run, in milliseconds. Default: 1000. */
  tickMs?: number;
}

/** No NATS server answers at the given URL. */
export class NatsUnreachableError extends Error {
  override readonly name = 'NatsUnreachableError';
}

/**
 * Trains the run to its end and writes its summary into `out`. Aborting `signal` stops it with checkpoints and
 * throws an `InterruptedError`. Throws a `ModuleFailedError` if a module fails for good. Throws a `RunFolderError`
 * if `out` does not match the run, or a `PlanError` or `NatsServerError`, before any trainer starts.
 */
export async function runLocally(options: LocalRunOptions, signal: AbortSignal): Promise<Summary> {
  const out = resolve(options.out);
  const record = options.resume ? readRecord(out) : undefined;
  const uid = record?.uid ?? randomUUID();
  const plan = planRun(options.run, {
    // Several runs of one name may use one NATS server.
    namespace: `local-${uid.slice(0, 8)}`,
    uid,
    dataSetSize: options.dataSetSize,
    baseDir: options.baseDir,
    // If the number can change, streams need room for the weights of at least two replicas.
    ...(options.replicas && { replicas: (name) => Math.max(2, options.replicas?.(name) ?? 1) }),
  });
  const check = () => (options.resume ? checkResumable(out, plan.modules) : checkFresh(out));
  checkUnlocked(out);
  check();
  const binary = options.nats ? undefined : await findNatsServer(options.natsServer);

  makeFolder(out);
  const unlock = lockFolder(out);
  return finishAll(async (atEnd) => {
    atEnd(unlock);
    check(); // another process may have written there before the lock
    return runInFolder({ options, out, plan, uid, record, binary }, signal);
  });
}

interface Prepared {
  options: LocalRunOptions;
  out: string;
  plan: RunPlan;
  uid: string;
  record: RunRecord | undefined;
  /** Path of nats-server; undefined if the run uses an existing server. */
  binary: string | undefined;
}

/** Trains in a locked folder and writes the summary. */
async function runInFolder(
  { options, out, plan, uid, record, binary }: Prepared,
  signal: AbortSignal,
): Promise<Summary> {
  const { screen } = options;
  const runFile = readFileSync(options.file); // it may be the copy in the run folder
  if (!options.resume) clearLeftovers(out);

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
  writeWhole(below(out, 'run.yaml'), runFile);
  writeModules(out, plan.modules);

  const log = openLog(below(out, 'run.log')).child({ run: plan.run.name });
  const { sharedMemory = true } = options;
  const shared = sharedMemory ? makeSharedFolder(heldBytes(options.run, plan), log) : null;
  await finishAll(async (afterTraining) => {
    if (shared) afterTraining(() => shared.remove());
    const server = binary
      ? await startServer(binary, out, options.natsPort, plan, shared, log)
      : undefined;
    if (server) afterTraining(() => server.stop());
    const access = server ? { url: server.url, creds: server.creds } : (options.nats as NatsAccess);
    const connection = await connectTo(access);
    afterTraining(() => leave(connection, plan, log));
    afterTraining(save);
    versions = versionsOf(connection);
    const parts = { plan, connection, access, server, shared, reports, log };
    await train({ ...options, out }, parts, signal);
  });

  if (options.evaluate) await evaluateRun(out, (line) => screen.note(line), { signal });
  save();
  return summarise(out);
}

/** Returns the bytes of all buffers. Each trainer of a module fills its own. */
const heldBytes = ({ spec }: Run, { streams }: RunPlan): number =>
  streams.reduce((sum, { maxBytes }, i) => sum + maxBytes * (spec.modules[i]?.replicas ?? 1), 0);

function startServer(
  binary: string,
  out: string,
  port: number | undefined,
  { streams, state }: RunPlan,
  shared: SharedFolder | null,
  log: Logger,
): Promise<NatsServer> {
  const memoryBytes = memoryFor([...streams, state]);
  const folder = join(out, NATS_FOLDER);
  return startNatsServer({ binary, folder, port, memoryBytes, oneThread: shared !== null, log });
}

async function connectTo(access: NatsAccess): Promise<NatsConnection> {
  const options = connectionOptions(access);
  try {
    return await connect({ ...options, name: 'gim' });
  } catch (error) {
    throw new NatsUnreachableError(
      `no NATS server answers at ${access.url} (${(error as Error).message}); give the URL of one with JetStream to --nats, with --nats-creds and --nats-ca if it asks for them, or leave it out`,
      { cause: error },
    );
  }
}

/** Deletes the run's streams from the user's server and closes the connection. */
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

/** Returns the versions of the software that affects results. */
function versionsOf(connection: NatsConnection): Record<string, string> {
  const require = createRequire(import.meta.url);
  const { version } = require('@tensorflow/tfjs-node-gpu/package.json') as { version: string };
  return {
    node: process.versions.node,
    'nats-server': connection.info?.version ?? 'unknown',
    '@tensorflow/tfjs-node-gpu': version,
  };
}
