import type { StoredTensor } from './safetensors.ts';

/**
 * Translates weight names of the reference implementation (loeweX/Greedy_InfoMax, vision) to those of `torch.ts`. The
 * reference saves each module in a file of its own, or the whole model in one:
 *
 *     reference                               here
 *     model.Conv1.weight                      layers.0.weight            the stem, in the first module
 *     model.layer S.B.conv1.weight            layers.L.B.conv1.weight    L: S, behind a stem S + 1
 *     model.layer S.B.shortcut.0.weight       layers.L.B.shortcut.weight
 *     loss.W_k.I.weight [out, in, 1, 1]       objective.kK.weight [out, in]    K: I + 1
 *     encoder.M.… or module.encoder.M.…       the same of module M
 */

type Tensors = Readonly<Record<string, StoredTensor>>;

const WHOLE = /^(?:module\.)?encoder\.(\d+)\.(.+)$/;
const STAGE = /^model\.layer (\d+)\.(.+)$/;

/** Reports whether the tensors have the reference's names. */
export const isReference = (tensors: Tensors): boolean =>
  Object.keys(tensors).some((name) => WHOLE.test(name) || /^model\.(Conv1|layer \d+)\./.test(name));

/** Reports whether the tensors are those of all modules. */
export const isWholeReference = (tensors: Tensors): boolean =>
  Object.keys(tensors).some((name) => WHOLE.test(name));

/** Returns the tensors of module `index` from those of all modules. */
export const ofModule = (tensors: Tensors, index: number): Record<string, StoredTensor> =>
  Object.fromEntries(
    Object.entries(tensors).flatMap(([name, tensor]) => {
      const [, module, rest = ''] = WHOLE.exec(name) ?? [];
      return module === `${index}` ? [[rest, tensor]] : [];
    }),
  );

/** Renames the tensors of one module of the reference to the names of `torch.ts`; keeps unknown names. */
export function renamed(tensors: Tensors): Record<string, StoredTensor> {
  const stem = Object.keys(tensors).some((name) => name.startsWith('model.Conv1.')) ? 1 : 0;
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const [, stage, rest] = STAGE.exec(name) ?? [];
      if (stage !== undefined && rest !== undefined) {
        const part = rest.replace('.shortcut.0.', '.shortcut.');
        return [`layers.${Number(stage) + stem}.${part}`, tensor];
      }
      const [, step] = /^loss\.W_k\.(\d+)\.weight$/.exec(name) ?? [];
      if (step !== undefined) {
        const matrix = { ...tensor, shape: tensor.shape.slice(0, 2) }; // of a convolution of 1 by 1
        return [`objective.k${Number(step) + 1}.weight`, matrix];
      }
      return [name.replace(/^model\.Conv1\./, 'layers.0.'), tensor];
    }),
  );
}
