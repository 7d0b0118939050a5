import { formatPath, type ModulePodTemplate, podErrors } from '@greedy-infomax/crds';
import { hostAccess } from './host-access.ts';
import { CONTAINER } from './names.ts';
import { trainerPod } from './pod.ts';
import { runTemplates } from './pod-templates.ts';
import { reservedFields } from './reserved-fields.ts';
import type { KubernetesRun, PlanOptions } from './types.ts';

/**
 * Returns the validation errors of the run's and the modules' templates: their size, fields reserved for the operator,
 * and access to the node unless the installation allows it.
 */
export function podTemplateErrors(run: KubernetesRun, options: PlanOptions): string[] {
  const [module] = run.spec.modules;
  if (!module) return [];
  // First: what follows walks through the templates.
  const sizes = podErrors(run.spec);
  if (sizes.length > 0) return sizes.map(({ path, message }) => `${formatPath(path)} ${message}`);
  const base = trainerPod(run, module, '', options);
  const at = 'spec.podTemplate';
  const [shorthand = {}, own = {}] = runTemplates(run);
  const written = [
    { at, template: own },
    ...run.spec.modules.map(({ podTemplate = {} }, i) => ({
      at: `spec.modules[${i}].podTemplate`,
      template: podTemplate,
    })),
  ];
  const host = options.allowHostAccess
    ? []
    : [
        ...hostAccess(run.spec.podTemplate ?? {}, at),
        ...written.slice(1).flatMap(({ template, at }) => hostAccess(template, at)),
      ];
  return [
    // Reserved labels among the shorthand have always given way to the operator's.
    ...reservedFields({ spec: shorthand.spec }, { pod: at, trainer: at }, base),
    ...written.flatMap(({ at, template }) => reservedFields(template, pathsOf(at, template), base)),
    ...host.map(
      (path) =>
        `${path} gives access to the node, which this operator refuses; start it with --allow-host-access, or leave the field out`,
    ),
  ];
}

function pathsOf(at: string, { spec }: ModulePodTemplate): { pod: string; trainer: string } {
  const index = spec?.containers?.findIndex(({ name }) => name === CONTAINER) ?? 0;
  return { pod: `${at}.spec`, trainer: `${at}.spec.containers[${index}]` };
}
