import type { ModuleConfig } from '@greedy-infomax/crds';
import type { V1ConfigMap, V1Job } from '@kubernetes/client-node';
import { CONFIG_FILE } from './names.ts';
import { canonicalJson, childMetadata, childName, hash, refTo } from './objects.ts';
import type { KubernetesRun, ObjectRef } from './types.ts';

/** What a trainer reads. Never changed: another content has another name. */
export function configMap(run: KubernetesRun, config: ModuleConfig): V1ConfigMap {
  const text = canonicalJson(config);
  const name = `${childName(run.metadata.name, config.name)}-${hash(text, 10)}`;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: childMetadata(run, config.name, name),
    immutable: true,
    data: { [CONFIG_FILE]: text },
  };
}

/** ConfigMaps that neither the plan nor a Job still there needs. */
export function unusedConfigMaps(
  observed: readonly V1ConfigMap[],
  planned: readonly V1ConfigMap[],
  jobs: readonly V1Job[],
): ObjectRef[] {
  const used = new Set([
    ...planned.map(({ metadata }) => metadata?.name),
    ...jobs
      .flatMap(({ spec }) => spec?.template.spec?.volumes ?? [])
      .flatMap(({ configMap, projected }) => [
        configMap?.name,
        ...(projected?.sources ?? []).map((source) => source.configMap?.name),
      ]),
  ]);
  return observed
    .filter(({ metadata }) => !used.has(metadata?.name))
    .map((object) => refTo('v1', 'ConfigMap', object));
}
