import { setTimeout as sleep } from 'node:timers/promises';
import { poison } from '../../test/faults/training/poison.ts';
import { natsPid, trainerPids } from '../../test/support/gim.ts';

/** Faults injected into a run at intervals. */

export interface Target {
  out: string;
  natsUrl: string;
  random: (below: number) => number;
}

const MODULES = ['one', 'two', 'three'];

function anyTrainer({ out, random }: Target): [string, number] | undefined {
  const module = MODULES[random(MODULES.length)] as string;
  const pid = trainerPids(out).get(module);
  return pid === undefined ? undefined : [module, pid];
}

/** Each returns a description of its effect. */
const FAULTS: ((target: Target) => Promise<string>)[] = [
  async (target) => {
    const [module, pid] = anyTrainer(target) ?? [];
    if (pid === undefined) return 'nothing: no such trainer runs';
    process.kill(pid, 'SIGKILL');
    return `killed the trainer of ${module}`;
  },
  async (target) => {
    const [module, pid] = anyTrainer(target) ?? [];
    if (pid === undefined) return 'nothing: no such trainer runs';
    process.kill(pid, 'SIGSTOP');
    await sleep(3000);
    process.kill(pid, 'SIGCONT');
    return `stopped the trainer of ${module} for 3 s`;
  },
  async ({ out }) => {
    const pid = natsPid(out);
    if (pid === undefined) return 'nothing: no NATS server runs';
    process.kill(pid, 'SIGKILL');
    return 'killed NATS';
  },
  async ({ out, natsUrl, random }) => {
    const taken = await poison(natsUrl, out, MODULES[random(2)] as string, random);
    return `sent ${taken} messages of poison`;
  },
];

export async function strike(target: Target): Promise<string> {
  const fault = FAULTS[target.random(FAULTS.length)] as (target: Target) => Promise<string>;
  try {
    return await fault(target);
  } catch (error) {
    return `half done: ${(error as Error).message}`;
  }
}
