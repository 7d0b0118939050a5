import { adviceFor } from '@greedy-infomax/crds';
import { Command } from 'commander';
import { InterruptedError } from '../local/interrupted.ts';
import { evaluateCommand } from './evaluate.ts';
import { exportCommand } from './export.ts';
import { importCommand } from './import.ts';
import { planCommand } from './plan.ts';
import { printError } from './print.ts';
import { renderCommand } from './render.ts';
import { reportCommand } from './report.ts';
import { runCommand } from './run.ts';
import { validateCommand } from './validate.ts';

/** Entry point of the command line `gim`. Each command has its own file. */

// The reader of the output may end, and its disk may be full: a run goes on, and its summary is in its folder.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const program = new Command('gim')
  .description(
    'Trains networks whose modules never exchange gradients, on this machine or a cluster.',
  )
  .addCommand(validateCommand())
  .addCommand(planCommand())
  .addCommand(renderCommand())
  .addCommand(runCommand())
  .addCommand(evaluateCommand())
  .addCommand(exportCommand())
  .addCommand(importCommand())
  .addCommand(reportCommand());

try {
  await program.parseAsync();
} catch (error) {
  const { message, stack } = error as Error;
  const advice = adviceFor(error);
  printError(`${process.env.DEBUG ? stack : message}${advice ? `; ${advice}` : ''}`);
  process.exitCode = error instanceof InterruptedError ? 130 : 1;
}
