import { join } from 'node:path';
import { Command } from 'commander';
import { evaluateRun } from '../local/evaluation.ts';
import { checkHoldsRun } from '../local/folder.ts';
import { summarise } from '../local/summarise.ts';
import { summaryTable } from '../report/summary.ts';
import { print } from './print.ts';
import { stopOnSignals } from './signals.ts';

/** `gim evaluate DIR` */
export const evaluateCommand = (): Command =>
  new Command('evaluate')
    .description('Train linear probes of every module, trained and untrained.')
    .argument('<dir>', 'folder of a run')
    .action(async (out: string) => {
      checkHoldsRun(out);
      await evaluateRun(out, print, { signal: stopOnSignals() });
      print(`\n${summaryTable(await summarise(out))}\n\n${join(out, 'report.html')}`);
    });
