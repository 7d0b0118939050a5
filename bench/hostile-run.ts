import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { planKubernetes } from '../operator/src/plan/kubernetes/plan.ts';
import type { KubernetesRun } from '../operator/src/plan/kubernetes/types.ts';

/** Prints how long the most expensive runs block the operator's event loop, for several plans. */

interface Case {
  what: string;
  modules: number;
  layers: number;
  repeat: number;
}

const CASES: readonly Case[] = [
  { what: '2 modules x 64 layers x repeat 64', modules: 2, layers: 64, repeat: 64 },
  { what: '64 modules x 64 layers x repeat 64', modules: 64, layers: 64, repeat: 64 },
  { what: '64 modules x 16 layers', modules: 64, layers: 16, repeat: 1 },
  { what: '16 modules x 1 layer x repeat 64', modules: 16, layers: 1, repeat: 64 },
];
const PLANS = 5;

function runOf({ modules, layers, repeat }: Case): KubernetesRun {
  const layer = { type: 'residual', channels: 8, ...(repeat > 1 && { repeat }) };
  const text = JSON.stringify({
    apiVersion: 'greedyinfomax.dev/v1alpha1',
    kind: 'GreedyInfoMaxRun',
    metadata: { name: 'hostile', namespace: 'team', uid: 'run-1', generation: 1 },
    spec: {
      seed: 2,
      data: { format: 'digits' },
      augmentation: { crop: 28 },
      patches: { size: 16, stride: 4 },
      modules: Array.from({ length: modules }, (_, i) => ({
        name: `m${i}`,
        layers: Array.from({ length: layers }, () => layer),
      })),
      objective: { type: 'infoNCE', predictionSteps: 1 },
      order: 'simultaneous',
      training: { samples: 640 },
      checkpoints: {},
      evaluation: { atEnd: false },
      suspend: false,
    },
  });
  return JSON.parse(text) as KubernetesRun;
}

const observed = { modules: [], jobs: [], configMaps: [], pods: [], reports: [] };
const options = { trainerImage: 'trainer:1', natsUrl: 'nats://nats:4222' };

for (const each of CASES) {
  const run = runOf(each);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await pause(50); // A delay is measured between two timers.
  delay.reset();
  await pause(5);
  const times: number[] = [];
  let message: string | undefined;
  for (let i = 0; i < PLANS; i++) {
    const start = process.cpuUsage();
    ({ message } = planKubernetes({ run, observed, now: new Date(0), options }).status);
    const { user, system } = process.cpuUsage(start);
    times.push((user + system) / 1000);
    await pause(5);
  }
  delay.disable();
  const kilobytes = (JSON.stringify(run).length / 1000).toFixed(1);
  const milliseconds = times.map((time) => time.toFixed(1)).join(', ');
  const longest = (delay.max / 1e6).toFixed(0);
  console.log(
    `${each.what} (${kilobytes} kB): plans of ${milliseconds} ms of CPU; event loop held ${longest} ms at most by the clock; ${message ?? 'planned'}`,
  );
}
