import { Informer } from '../../operator/src/kube/informer.ts';
import {
  CONFIG_MAPS,
  JOBS,
  type KubeObject,
  MODULES,
  type Resource,
} from '../../operator/src/kube/resource.ts';
import { NAMESPACE, type Scene } from './scene.ts';

/** Counts objects created for runs, including those deleted since. */
export interface Made {
  /** Number of creations by `Kind of RUN-MODULE` and `stream NAME`. */
  end(): Promise<Record<string, number>>;
}

/** Starts counting with the objects that exist now. */
export async function watchWhatIsMade({ client, connection }: Scene): Promise<Made> {
  const counts: Record<string, number> = {};
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const stop = new AbortController();
  const informers = ([MODULES, JOBS, CONFIG_MAPS] as Resource<KubeObject>[]).map((resource) => {
    const informer = new Informer(client, resource, {
      namespace: NAMESPACE,
      labelSelector: 'greedyinfomax.dev/module',
    });
    informer.onChange((change, { metadata: { labels = {} } }) => {
      const of = `${labels['greedyinfomax.dev/run']}-${labels['greedyinfomax.dev/module']}`;
      if (change === 'added') count(`${resource.kind} of ${of}`);
    });
    return informer;
  });
  const ended = Promise.all(informers.map((informer) => informer.run(stop.signal)));
  await Promise.all(informers.map((informer) => informer.whenSynced()));
  const advisories = connection.subscribe('$JS.EVENT.ADVISORY.STREAM.CREATED.*', {
    callback: (_, { subject }) => count(`stream ${subject.split('.').at(-1)}`),
  });
  await connection.flush();
  return {
    async end() {
      stop.abort();
      advisories.unsubscribe();
      await ended;
      return counts;
    },
  };
}
