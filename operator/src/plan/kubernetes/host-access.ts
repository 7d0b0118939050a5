import type { ModulePodTemplate, PodTemplate } from '@greedy-infomax/crds';

/** Finds what a pod template asks for that gives access to the node or to other pods on it. */

type Template = PodTemplate | ModulePodTemplate;
type Fields = Readonly<Record<string, unknown>>;

const HOST_NAMESPACES = ['hostNetwork', 'hostPID', 'hostIPC'];
const SAFE_CAPABILITIES = ['NET_BIND_SERVICE'];

/** Paths of such fields below `at`, empty if there are none. */
export function hostAccess(template: Template, at: string): string[] {
  const spec: Fields = template.spec ?? {};
  const { initContainers, containers, volumes = [], securityContext } = template.spec ?? {};
  const lists = { containers, initContainers };
  return [
    ...HOST_NAMESPACES.filter((field) => spec[field] === true).map((f) => `${at}.spec.${f}`),
    ...hostPaths(volumes, `${at}.spec`),
    ...hostPaths('volumes' in template && template.volumes ? template.volumes : [], at),
    ...unsafeContext(securityContext ?? {}, `${at}.spec.securityContext`),
    ...Object.entries(lists).flatMap(([list, items = []]) =>
      items.flatMap((container, i) => {
        const path = `${at}.spec.${list}[${i}]`;
        return [
          ...unsafeContext(container.securityContext ?? {}, `${path}.securityContext`),
          ...(container.ports ?? [])
            .map(({ hostPort }, p) => (hostPort ? `${path}.ports[${p}].hostPort` : ''))
            .filter((found) => found !== ''),
        ];
      }),
    ),
  ];
}

const hostPaths = (volumes: readonly Fields[], at: string): string[] =>
  volumes.flatMap((volume, i) => (volume.hostPath ? [`${at}.volumes[${i}].hostPath`] : []));

function unsafeContext(context: Fields, at: string): string[] {
  const { add = [] } = (context.capabilities ?? {}) as { add?: unknown };
  const added = Array.isArray(add) ? add : [add];
  const windows = (context.windowsOptions ?? {}) as Fields;
  return [
    ...(context.privileged === true ? [`${at}.privileged`] : []),
    ...(context.procMount === 'Unmasked' ? [`${at}.procMount`] : []),
    ...(windows.hostProcess === true ? [`${at}.windowsOptions.hostProcess`] : []),
    ...(added.every((name) => SAFE_CAPABILITIES.includes(name as string))
      ? []
      : [`${at}.capabilities.add`]),
  ];
}
