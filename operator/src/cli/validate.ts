import { RunFileError } from '@greedy-infomax/crds';
import { Command } from 'commander';
import { print, printError } from './print.ts';
import { readRunsOf } from './run-file.ts';

/** `gim validate FILE...` */
export const validateCommand = (): Command =>
  new Command('validate')
    .description('Validate run files and print every error with its line and path.')
    .argument('<files...>', 'run files')
    .action((files: string[]) => {
      for (const file of files) {
        try {
          const runs = readRunsOf(file);
          for (const { metadata, spec } of runs) {
            const run = runs.length === 1 ? '' : ` run ${metadata.name}:`;
            print(`${file}:${run} valid, ${spec.modules.length} modules`);
          }
        } catch (error) {
          if (!(error instanceof RunFileError)) throw error;
          printError(error.message);
          process.exitCode = 1;
        }
      }
    });
