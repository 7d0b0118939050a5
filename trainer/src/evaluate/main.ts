import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  below,
  type EvaluationResult,
  EXIT,
  encodeEvaluationResult,
  inboxPrefix,
  MODULE_FILE,
  type ModuleConfig,
  moduleConfigSchema,
  modulePlaces,
  NatsUrlError,
  printable,
  readWhole,
  writeWhole,
} from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import { CheckpointBucket } from '../checkpoint/bucket.ts';
import { ConfigMismatchError } from '../checkpoint/errors.ts';
import { newestCheckpoint, newestInBucket } from '../checkpoint/newest.ts';
import type { Checkpoint } from '../checkpoint/store.ts';
import { DataError } from '../data/errors.ts';
import { connectNats } from '../nats/connect.ts';
import { EvaluationError } from './errors.ts';
import { evaluate, type RunAccuracies, type Trained } from './evaluate.ts';
import { writePictures } from './pictures.ts';

/**
 * Trains linear probes of every module of a run. Prints one line of JSON for each module.
 *
 * `main.ts --out DIR [--pictures]`, on one machine: reads the folder of a run, in any layout of `modulePlaces`, and writes
 * DIR/evaluation.json, and the pictures of the report into DIR/pictures.
 * `main.ts --config DIR [--checkpoints DIR] --result FILE`, in a pod: reads CONFIG/MODULE/module.json and
 * CHECKPOINTS/MODULE/replica-N, or the bucket of the run on the server of NATS_URL, NATS_CREDS and NATS_CA,
 * and writes an `EvaluationResult` into an existing file.
 */

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    config: { type: 'string' },
    checkpoints: { type: 'string' },
    result: { type: 'string' },
    pictures: { type: 'boolean', default: false },
  },
});

// The first process of a container only receives signals that it handles.
process.once('SIGTERM', () => process.exit(EXIT.stopped));

const connections: NatsConnection[] = [];
try {
  const { out, result } = values;
  const places = findModules(values);
  const modules = places.map(({ module }) => module);
  let trained: Trained | undefined;
  const found = await evaluate(
    modules,
    await openCheckpoints(places),
    (module) => console.log(JSON.stringify(module)),
    (each) => {
      trained = each;
    },
  );
  if (out !== undefined) {
    writeWhole(below(out, 'evaluation.json'), `${JSON.stringify(found, null, 2)}\n`);
  }
  if (out !== undefined && values.pictures && trained) await writePictures(out, modules, trained);
  if (result !== undefined) writeFileSync(result, encodeEvaluationResult(compact(found)));
} catch (error) {
  console.error(printable(`evaluation failed: ${(error as Error).message}`));
  process.exitCode = isFinal(error) ? EXIT.configuration : EXIT.retry;
} finally {
  for (const connection of connections) await connection.close();
}

/** Returns the modules of a run, from input to output, and the folders of their checkpoints. */
function findModules({ out, config, checkpoints }: typeof values): Place[] {
  if (out !== undefined) {
    return inOrder(modulePlaces(out).map(({ folder, trainer }) => readModule(trainer, folder)));
  }
  if (config === undefined) {
    throw new EvaluationError('--out DIR, or --config DIR, is missing');
  }
  return inOrder(
    readdirSync(config)
      // A Kubernetes volume contains hidden entries.
      .filter((name) => !name.startsWith('.'))
      .map((name) => readModule(join(config, name), checkpoints && join(checkpoints, name))),
  );
}

interface Place {
  module: ModuleConfig;
  /** Folder of its checkpoints; undefined if they are in a bucket. */
  folder?: string;
}

async function openCheckpoints(
  places: readonly Place[],
): Promise<(module: ModuleConfig) => Promise<Checkpoint>> {
  const folders = new Map(places.map(({ module, folder }) => [module.name, folder]));
  const [first] = places;
  if (first === undefined || first.folder !== undefined) {
    return (module) => newestCheckpoint(module, folders.get(module.name) ?? '');
  }
  const { run, uid, name, checkpoints } = first.module;
  if (checkpoints.storage?.objectStore === undefined) {
    throw new EvaluationError(
      `the checkpoints of module ${name} lie in no bucket; give --checkpoints DIR`,
    );
  }
  const natsUrl = process.env.NATS_URL ?? 'nats://127.0.0.1:4222';
  const { NATS_CREDS: natsCreds, NATS_CA: natsCa } = process.env;
  const access = { natsUrl, natsCreds, natsCa, inboxPrefix: inboxPrefix(run) };
  const connection = await connectNats(access, `${run.name}-evaluation`);
  const bucket = await CheckpointBucket.open(connection, { ...run, uid });
  connections.push(connection);
  return (module) => newestInBucket(module, bucket);
}

function readModule(place: string, folder: string | undefined): Place {
  const text = readWhole(join(place, MODULE_FILE)).toString('utf8');
  return { module: moduleConfigSchema.parse(JSON.parse(text)), folder };
}

function inOrder(places: Place[]): Place[] {
  return places.toSorted((a, b) => a.module.index - b.module.index);
}

function compact({ samples, modules }: RunAccuracies): EvaluationResult {
  const pairs = modules.map(({ name, accuracy, accuracyUntrained }): [string, [number, number]] => [
    name,
    [accuracy, accuracyUntrained],
  ]);
  return { samples, modules: Object.fromEntries(pairs) };
}

/** Reports whether a retry would fail the same way. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof EvaluationError ||
    error instanceof DataError ||
    error instanceof ConfigMismatchError ||
    error instanceof NatsUrlError
  );
}
