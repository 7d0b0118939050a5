import {
  type ModulePodTemplate,
  POD_BYTES_MAX,
  type PodTemplate,
  type Resources,
} from '../../v1alpha1/pod.ts';
import type { ValidationError } from '../path.ts';

/** Maximum nesting of a pod template. PodTemplateSpec has fewer than 20 levels. */
const DEPTH_MAX = 64;

interface PodFields {
  podTemplate?: PodTemplate;
  resources?: Resources;
  modules: readonly { podTemplate?: ModulePodTemplate }[];
}

/** Checks the total size and the nesting of the run's pod templates. Each module's Job has a copy. */
export function podErrors({ podTemplate, resources, modules }: PodFields): ValidationError[] {
  const templates = [podTemplate, ...modules.map((module) => module.podTemplate)];
  const path = ['spec', podTemplate || !resources ? 'podTemplate' : 'resources'];
  // Check the nesting first: serialization of a deeper value could exhaust the stack.
  if (isDeeper(templates, DEPTH_MAX)) {
    return [{ path, message: `has more than ${DEPTH_MAX} levels of nesting` }];
  }
  const parts = [...templates, resources].filter((part) => part !== undefined);
  const bytes = Buffer.byteLength(JSON.stringify(parts));
  if (bytes <= POD_BYTES_MAX) return [];
  const message = `has ${bytes} bytes as JSON, including the modules' templates and spec.resources; it must have at most ${POD_BYTES_MAX}, because each module's Job has a copy`;
  return [{ path, message }];
}

function isDeeper(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levels) return true;
    level = level.flatMap((each) =>
      typeof each === 'object' && each !== null ? Object.values(each) : [],
    );
  }
  return false;
}
