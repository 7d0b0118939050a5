import { fstatSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  EXIT,
  encodeTrainerEnding,
  inboxPrefix,
  lossy,
  MODULE_FILE,
  type ModuleConfig,
  moduleConfigSchema,
  NatsUrlError,
  readWhole,
  type TrainerEnding,
} from '@greedy-infomax/crds';
import pino from 'pino';
import { writeAtomically } from './checkpoint/atomic.ts';
import { ConfigMismatchError } from './checkpoint/errors.ts';
import { DataError } from './data/errors.ts';
import { NatsFileError } from './nats/connect.ts';
import { shareThreads } from './threads.ts';
import { ConfigurationError, DivergedError } from './train/errors.ts';

/**
 * Trains one replica of one module: `node trainer/src/main.ts --config FILE --out DIR --nats URL [--replica N]`;
 * `--shared DIR`: folder in memory shared by the trainers of a local run.
 */

const { values } = parseArgs({
  options: {
    config: { type: 'string' },
    out: { type: 'string' },
    nats: { type: 'string', default: process.env.NATS_URL ?? 'nats://127.0.0.1:4222' },
    'nats-creds': { type: 'string', default: process.env.NATS_CREDS },
    'nats-ca': { type: 'string', default: process.env.NATS_CA },
    shared: { type: 'string', default: process.env.SHARED_FOLDER },
    replica: { type: 'string', default: '0' },
  },
});

const log = pino(
  { level: process.env.LOG_LEVEL ?? 'info' },
  lossy(pino.destination({ sync: true })),
);

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());
// In a local run stdin is a pipe from the parent, which ends when the parent dies. In a pod stdin is not a pipe, and its
// end is ignored.
const stdin = fstatSync(0);
if (stdin.isFIFO() || stdin.isSocket()) {
  process.stdin.on('end', () => stop.abort()).on('error', () => stop.abort());
  process.stdin.resume();
}

process.exit(await main());

async function main(): Promise<number> {
  try {
    const config = readConfig(values.config);
    if (values.out === undefined) throw new ConfigurationError('--out DIR is missing');
    await keepConfig(config, values.out);
    shareThreads(config.batchSize); // before TensorFlow is loaded
    const { train } = await import('./train/train.ts');
    const ending = await train({
      config,
      out: values.out,
      nats: {
        natsUrl: values.nats,
        natsCreds: values['nats-creds'],
        natsCa: values['nats-ca'],
        inboxPrefix: inboxPrefix(config.run),
      },
      shared: values.shared,
      replica: Number(values.replica),
      log: log.child({
        run: config.run.name,
        module: config.name,
        replica: Number(values.replica),
      }),
      stop: stop.signal,
    });
    if (ending) leaveEnding(ending);
    return ending?.outcome === 'complete' ? EXIT.ok : EXIT.stopped;
  } catch (error) {
    log.fatal({ err: error }, (error as Error).message);
    leaveEnding({ outcome: 'failed', message: (error as Error).message });
    return exitCode(error);
  }
}

function readConfig(file: string | undefined): ModuleConfig {
  if (file === undefined) throw new ConfigurationError('--config FILE is missing');
  try {
    return moduleConfigSchema.parse(JSON.parse(readWhole(file).toString('utf8')));
  } catch (error) {
    throw new ConfigurationError(
      `${file} is not a module configuration: ${(error as Error).message}`,
    );
  }
}

/**
 * Writes the configuration beside the checkpoints, so that a run can be exported and evaluated from its volume alone. A
 * local run has it there already. A full disk does not stop the training.
 */
async function keepConfig(config: ModuleConfig, out: string): Promise<void> {
  const file = join(out, MODULE_FILE);
  if (values.config !== undefined && resolve(values.config) === resolve(file)) return;
  try {
    await writeAtomically(file, Buffer.from(`${JSON.stringify(config, null, 2)}\n`));
  } catch (error) {
    log.warn({ err: error }, (error as Error).message);
  }
}

/**
 * Writes the ending of the training: in a pod it becomes part of the container's status. Where that fails, as on a full
 * disk, the exit code remains.
 */
function leaveEnding(ending: TrainerEnding): void {
  const file = process.env.TERMINATION_LOG;
  if (file === undefined) return;
  try {
    writeFileSync(file, encodeTrainerEnding(ending));
  } catch (error) {
    log.error({ err: error }, 'cannot write how the training ended');
  }
}

function exitCode(error: unknown): number {
  if (error instanceof DivergedError) return EXIT.diverged;
  if (
    error instanceof ConfigurationError ||
    error instanceof NatsFileError ||
    error instanceof NatsUrlError ||
    error instanceof DataError ||
    error instanceof ConfigMismatchError
  ) {
    return EXIT.configuration;
  }
  return EXIT.retry;
}
