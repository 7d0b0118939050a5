import { dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { checkFresh } from '../local/folder.ts';
import { planRun } from '../plan/run.ts';
import { print } from './print.ts';
import { readRunFile } from './run-file.ts';

/** `gim import FILE WEIGHTS... --out DIR` */
export const importCommand = (): Command =>
  new Command('import')
    .description('Make the folder of a run from weights of PyTorch, to evaluate or export them.')
    .argument('<file>', 'run file that describes the modules')
    .argument('<weights...>', 'safetensors: one for each module in their order, or one for all')
    .option('--out <dir>', 'folder to make (default: runs/NAME)')
    .action(async (file: string, weights: string[], options: { out?: string }) => {
      const run = readRunFile(file);
      const out = options.out ?? join('runs', run.metadata.name);
      checkFresh(out);
      const { batchSize } = run.spec;
      const { modules } = planRun(
        // Importing uses no budget, and a budget in epochs would need the data set.
        { ...run, spec: { ...run.spec, training: { samples: batchSize } } },
        { namespace: 'local', uid: 'imported', baseDir: resolve(dirname(file)) },
      );
      // TensorFlow is loaded but unused; this silences the message about its optimisations.
      process.env.TF_ENABLE_ONEDNN_OPTS ??= '0';
      const { importWeights } = await import('../../../trainer/src/checkpoint/import.ts');
      for (const result of await importWeights({ modules, files: weights, out })) {
        print(`${result.module}: ${result.tensors} tensors${described(result)}`);
      }
      print(out);
    });

function described({ missing, unused }: { missing: string[]; unused: string[] }): string {
  return [
    missing.length > 0 ? `; as initialised: ${missing.join(', ')}` : '',
    unused.length > 0 ? `; no place for: ${unused.join(', ')}` : '',
  ].join('');
}
