import { setTimeout as wait } from 'node:timers/promises';
import { Client } from '../../operator/src/kube/client.ts';
import { loadKubeConfig } from '../../operator/src/kube/kube-config.ts';
import { LEASES, pathOf, type Resource } from '../../operator/src/kube/resource.ts';
import { startCluster } from '../../test/support/cluster.ts';
import { inParallel } from '../../test/support/in-parallel.ts';
import { JobWatch } from './jobs.ts';
import { cpuSeconds, memory } from './process.ts';
import type { Running, Subject } from './subjects.ts';

/** Measures a controller with the same sequence as all others, on its own API server. */

export interface Course {
  /** Objects created in sequence, each after the previous one has its Jobs. */
  single: number;
  /** Objects created at once. */
  burst: number;
  /** Object counts at which memory is measured, ascending. */
  counts: readonly number[];
}

export interface Measured {
  /** Milliseconds from the start of the process until ready, without objects and with the most. */
  readyMs: number;
  readyAgainMs: number;
  /** Milliseconds from the creation of an object to its last Job. */
  single: number[];
  burst: number[];
  /**
   * Objects per second of the burst in wall-clock time, and the controller's CPU seconds for each.
   */
  burstRate: number;
  burstCpu: number;
  /** Reconciles per second during the burst; null if the controller does not report them. */
  reconcilesPerSecond: number | null;
  /** By number of objects: megabytes, and the controller's CPU seconds per new object. */
  sizes: { count: number; megabytes: number; cpuPerObject: number }[];
  peakMegabytes: number;
  /**
   * At the end: writes to the API server in ten seconds, except to leases, and CPU in percent of a
   * core.
   */
  restWrites: number;
  restCpu: number;
  /** Milliseconds from a start with all objects until no work is left. */
  steadyMs: number;
  megabytesAgain: number;
}

const NAMESPACE = 'default';
const JOBS = 3;
/** Concurrent requests. */
const PARALLEL = 32;
/** Milliseconds without work after which a controller counts as idle. */
const QUIET = 3000;
/** Timeout of every wait, in seconds. */
const LIMIT = 600;

export async function measure(
  subject: Subject,
  { single, burst, counts }: Course,
): Promise<Measured> {
  const cluster = await startCluster({ nodes: 0 });
  try {
    // No pods: they are not measured, and 6,000 pending pods would keep both cores busy.
    await cluster.kill('kube-controller-manager');
    await cluster.kill('kube-scheduler');
    await cluster.exec(
      'kubectl',
      'apply',
      '--server-side',
      ...subject.crds.map((file) => `--filename=${file}`),
    );
    const client = new Client(loadKubeConfig(cluster.kubeconfig));
    await served(client, subject.resource);
    const jobs = new JobWatch(client, NAMESPACE, subject.label);
    const create = async (name: string) => {
      const began = performance.now();
      const at = jobs.until(name, JOBS, LIMIT);
      at.catch(() => undefined); // Awaited below.
      await client.call('POST', pathOf(subject.resource, NAMESPACE), {
        body: subject.object(name),
      });
      return (await at) - began;
    };
    const { running, ms: readyMs } = await start(subject, cluster.kubeconfig);
    let current = running;
    try {
      await create('first'); // Caches are warm from here on.
      const alone: number[] = [];
      for (let i = 0; i < single; i += 1) alone.push(await create(`single-${i}`));
      await quiet(client);

      const before = {
        cpu: cpuSeconds(current.pid),
        reconciles: await reconciles(current),
        at: performance.now(),
      };
      const together = await Promise.all(
        Array.from({ length: burst }, (_, i) => create(`burst-${i}`)),
      );
      const burstSeconds = (performance.now() - before.at) / 1000;
      const done = await reconciles(current);
      const burstCpu = (cpuSeconds(current.pid) - before.cpu) / burst;

      const sizes: Measured['sizes'] = [];
      let made = 1 + single + burst;
      for (const count of counts) {
        const cpu = cpuSeconds(current.pid);
        const added = Math.max(0, count - made);
        await inParallel(PARALLEL, added, (i) => create(`size-${count}-${i}`));
        await quiet(client);
        made = Math.max(made, count);
        sizes.push({
          count: made,
          megabytes: memory(current.pid).now,
          cpuPerObject: added > 0 ? (cpuSeconds(current.pid) - cpu) / added : burstCpu,
        });
      }
      const peakMegabytes = memory(current.pid).peak;
      const rest = { cpu: cpuSeconds(current.pid), writes: await writes(client) };
      await wait(10_000);
      const restWrites = (await writes(client)) - rest.writes;
      const restCpu = 10 * (cpuSeconds(current.pid) - rest.cpu);

      await current.kill();
      await freeLease(client);
      const again = performance.now();
      const restarted = await start(subject, cluster.kubeconfig);
      current = restarted.running;
      const steadyMs = (await idle(current)) - again;
      return {
        readyMs,
        readyAgainMs: restarted.ms,
        single: alone,
        burst: together,
        burstRate: burst / burstSeconds,
        burstCpu,
        reconcilesPerSecond:
          done === null || before.reconciles === null
            ? null
            : (done - before.reconciles) / burstSeconds,
        sizes,
        peakMegabytes,
        restWrites,
        restCpu,
        steadyMs,
        megabytesAgain: memory(current.pid).now,
      };
    } finally {
      await current.kill();
      jobs.close();
      await client.close();
    }
  } finally {
    await cluster.stop();
  }
}

async function start(
  subject: Subject,
  kubeconfig: string,
): Promise<{ running: Running; ms: number }> {
  const began = performance.now();
  const running = await subject.start(kubeconfig);
  for (;;) {
    const ready = await fetch(running.readyUrl).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return { running, ms: performance.now() - began };
    if (performance.now() - began > 1000 * LIMIT)
      throw new Error(`${subject.name} did not become ready`);
    await wait(20);
  }
}

/** Resolves when the API server serves the kind, slightly after its definition is created. */
async function served(client: Client, resource: Resource): Promise<void> {
  const known = () =>
    client.list(resource, NAMESPACE).then(
      () => true,
      () => false,
    );
  const end = performance.now() + 30_000;
  while (!(await known())) {
    if (performance.now() > end) throw new Error(`the API server does not serve ${resource.kind}`);
    await wait(100);
  }
}

/** Resolves when there have been no writes for some time. */
async function quiet(client: Client): Promise<void> {
  for (let last = await writes(client); ; ) {
    await wait(QUIET);
    const now = await writes(client);
    if (now === last) return;
    last = now;
  }
}

/** Resolves with the time at which the process became idle. */
async function idle({ pid }: Running): Promise<number> {
  let since = performance.now();
  for (let last = cpuSeconds(pid); performance.now() - since < QUIET; ) {
    await wait(250);
    const now = cpuSeconds(pid);
    if (now - last > 0.05) since = performance.now();
    last = now;
  }
  return since;
}

/**
 * Requests that change objects, as counted by the API server. Leases are renewed even when idle.
 */
async function writes(client: Client): Promise<number> {
  let total = 0;
  const signal = AbortSignal.timeout(30_000);
  for await (const line of client.lines('/metrics', { query: {}, idleSeconds: 30, signal })) {
    if (!line.startsWith('apiserver_request_total{')) continue;
    if (!/verb="(POST|PUT|PATCH|APPLY|DELETE|DELETECOLLECTION)"/.test(line)) continue;
    if (/resource="(leases|subjectaccessreviews|tokenreviews)"/.test(line)) continue;
    total += Number(line.slice(line.lastIndexOf(' ')));
  }
  return total;
}

async function reconciles({ metricsUrl }: Running): Promise<number | null> {
  if (metricsUrl === null) return null;
  const text = await (await fetch(metricsUrl)).text();
  return [
    ...text.matchAll(/^(?:greedyinfomax|controller_runtime)_reconcile_total\{.*\} (\d+)/gm),
  ].reduce((sum, [, count]) => sum + Number(count), 0);
}

/**
 * Releases the lease of a killed leader, which would make the next one wait. The lease object
 * stays, because its uid tells the next leader which streams are its own.
 */
async function freeLease(client: Client): Promise<void> {
  const free = { spec: { holderIdentity: '' } };
  const patching = client.patch(LEASES, NAMESPACE, 'greedy-infomax-operator', 'merge', free);
  await patching.catch(() => undefined); // JobSet has none.
}
