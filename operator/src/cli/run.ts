import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Run, trainingSplit } from '@greedy-infomax/crds';
import { Command, InvalidArgumentError, Option } from 'commander';
import { runLocally } from '../local/run.ts';
import { openScreen } from '../local/screen.ts';
import { summaryTable } from '../report/summary.ts';
import { print } from './print.ts';
import { readRunFile } from './run-file.ts';
import { stopOnSignals } from './signals.ts';

interface RunOptions {
  out?: string;
  resume: boolean;
  nats?: string;
  natsCreds?: string;
  natsCa?: string;
  natsPort?: number;
  natsServer?: string;
  sharedMemory: boolean;
  evaluate: boolean;
}

/** The run file suspends the run. */
export class SuspendedRunError extends Error {
  override readonly name = 'SuspendedRunError';
}

/** `gim run FILE` */
export const runCommand = (): Command =>
  new Command('run')
    .description('Train a run on this machine, a process a module.')
    .argument('<file>', 'run file')
    .option('--out <dir>', 'folder of all that the run writes (default: runs/NAME)')
    .option('--resume', 'go on from the checkpoints in the folder', false)
    .option('--nats <url>', 'use this NATS server instead of one of its own')
    .addOption(
      new Option('--nats-creds <file>', 'credentials for the server of --nats').env('NATS_CREDS'),
    )
    .addOption(
      new Option('--nats-ca <file>', 'who signed the certificate of that server').env('NATS_CA'),
    )
    .option('--nats-port <port>', 'port of its own NATS server (default: a free one)', port)
    .option('--nats-server <path>', 'nats-server to start (default: NATS_SERVER, or the one found)')
    .option('--no-shared-memory', 'send activations through NATS, as on a cluster')
    .option('--no-evaluate', 'do not evaluate the modules at the end')
    .action(train);

async function train(file: string, options: RunOptions): Promise<void> {
  const run = readRunFile(file);
  if (run.spec.suspend) {
    throw new SuspendedRunError(
      `${file} asks for a suspended run; take out spec.suspend to train it`,
    );
  }
  const out = options.out ?? join('runs', run.metadata.name);
  const baseDir = resolve(dirname(file));
  const signal = stopOnSignals();
  const summary = await runLocally(
    {
      file,
      run,
      out,
      baseDir,
      dataSetSize: await dataSetSize(run, baseDir),
      resume: options.resume,
      nats: options.nats
        ? { url: options.nats, creds: options.natsCreds, ca: options.natsCa }
        : undefined,
      natsPort: options.natsPort,
      natsServer: options.natsServer,
      sharedMemory: options.sharedMemory,
      evaluate: options.evaluate && run.spec.evaluation.atEnd,
      evaluateEvery: options.evaluate ? run.spec.evaluation.everySamples : undefined,
      screen: openScreen(process.stdout, Date.now),
    },
    signal,
  );
  print(`\n${summaryTable(summary)}\n\n${join(out, 'report.html')}`);
}

/** Returns the number of samples that module 0 draws from. Throws a `DataError` if they are missing. */
async function dataSetSize({ spec }: Run, baseDir: string): Promise<number> {
  const { data } = spec;
  const path = data.path && (isAbsolute(data.path) ? data.path : resolve(baseDir, data.path));
  // Loaded only by this command: the operator's image plans and renders without a trainer.
  const { trainingSamples } = await import('../../../trainer/src/data/open.ts');
  const split = trainingSplit(spec.modules[0]?.objective ?? spec.objective);
  return trainingSamples({ ...data, path }, split);
}

function port(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return number;
  throw new InvalidArgumentError('must be a port, from 1 to 65535');
}
