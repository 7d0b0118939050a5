import { RunFileError } from '@greedy-infomax/crds';
import { Command } from 'commander';
import { readRunFile } from './run-file.ts';

/** `gim validate FILE...` */
export const validateCommand = (): Command =>
  new Command('validate')
    .description('Check run files; every mistake with its line and path.')
    .argument('<files...>', 'run files')
    .action((files: string[]) => {
      for (const file of files) {
        try {
          const { spec } = readRunFile(file);
          console.log(`${file}: a run of ${spec.modules.length} modules, without a mistake`);
        } catch (error) {
          if (!(error instanceof RunFileError)) throw error;
          console.error(error.message);
          process.exitCode = 1;
        }
      }
    });
