import { Command, Option } from 'commander';
import { checkHoldsRun } from '../local/folder.ts';
import { print } from './print.ts';

interface ExportOptions {
  to: string;
  objectives: boolean;
  format: 'tensorflow' | 'pytorch';
}

/** `gim export DIR --to FILE` */
export const exportCommand = (): Command =>
  new Command('export')
    .description('Write the weights of all modules into one safetensors file.')
    .argument('<dir>', 'folder of a run')
    .requiredOption('--to <file>', 'file to write')
    .option('--objectives', 'the weights of the objectives too', false)
    .addOption(
      new Option('--format <format>', 'whose names and layouts the tensors have')
        .choices(['tensorflow', 'pytorch'])
        .default('tensorflow'),
    )
    .action(async (out: string, { to, objectives, format }: ExportOptions) => {
      checkHoldsRun(out);
      const { exportEncoder } = await import('../../../trainer/src/checkpoint/export.ts');
      await exportEncoder({ out, file: to, objectives, format });
      print(to);
    });
