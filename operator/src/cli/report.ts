import { join } from 'node:path';
import { Command } from 'commander';
import { checkHoldsRun } from '../local/folder.ts';
import { summarise } from '../local/summarise.ts';
import { print } from './print.ts';

/** `gim report DIR` */
export const reportCommand = (): Command =>
  new Command('report')
    .description('Write summary.json and report.html again.')
    .argument('<dir>', 'folder of a run')
    .action(async (out: string) => {
      checkHoldsRun(out);
      await summarise(out);
      print(join(out, 'report.html'));
    });
