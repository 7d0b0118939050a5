import { Command } from 'commander';
import { checkHoldsRun } from '../local/folder.ts';

/** `gim export DIR --to FILE` */
export const exportCommand = (): Command =>
  new Command('export')
    .description('Write the weights of all modules into one safetensors file.')
    .argument('<dir>', 'folder of a run')
    .requiredOption('--to <file>', 'file to write')
    .option('--objectives', 'the weights of the objectives too', false)
    .action(async (out: string, { to, objectives }: { to: string; objectives: boolean }) => {
      checkHoldsRun(out);
      const { exportEncoder } = await import('../../../trainer/src/checkpoint/export.ts');
      await exportEncoder({ out, file: to, objectives });
      console.log(to);
    });
