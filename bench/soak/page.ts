import { markdown } from '../results.ts';
import { BOUNDS, LEAST_SECONDS, type Life, WARM_SECONDS } from './verdict.ts';

export interface Soak {
  minutes: number;
  seed: number;
  faultEverySeconds: number;
  faults: Readonly<Record<string, number>>;
  lives: readonly Life[];
  complaints: readonly string[];
  /** Samples that the slowest module had trained on when the faults ended. */
  samples: number;
  day: string;
  machine: string;
}

/** Writes docs/soak.md. */
export function soakPage(soak: Soak): string {
  const { minutes, seed, faultEverySeconds, faults, lives, complaints, samples, day, machine } =
    soak;
  return `# Soak

Written by \`make soak\` (${day}; ${machine}). **This one took ${minutes} minutes**; \`SOAK_MINUTES=30 make soak\`, the default, takes 30.

A run of three modules on digits, with buffers that block, had a fault every ${faultEverySeconds} s, drawn from seed ${seed}, trained on ${samples.toLocaleString('en')} samples meanwhile (the slowest module),
was then stopped, resumed with a budget a little above that, and had to be complete with every module.

${markdown({ columns: ['fault', 'times'], rows: Object.entries(faults).map(([name, times]) => [name, `${times}`]) })}

Memory and open files of each process that lived for at least ${LEAST_SECONDS} s after a warm-up of ${WARM_SECONDS} s:

${markdown({
  columns: [
    'process',
    'seconds',
    'MiB at first',
    'MiB at last',
    'MiB a minute',
    'files at first',
    'at last',
  ],
  rows: lives.map((life) => [
    life.role,
    life.seconds.toFixed(0),
    life.firstMiB.toFixed(0),
    life.lastMiB.toFixed(0),
    life.slopeMiBPerMinute.toFixed(2),
    `${life.fdsFirst}`,
    `${life.fdsLast}`,
  ]),
})}

The soak fails when a process grows by more than ${BOUNDS.slopeMiBPerMinute} MiB a minute and ${BOUNDS.growthMiB} MiB in all, holds more than ${BOUNDS.fds} more files and sockets
than when it was warm, when streams, consumers or processes are left over or missing, or when the run does not complete.
${complaints.length === 0 ? 'It passed.' : `It failed:\n\n${complaints.map((line) => `- ${line}`).join('\n')}`}
`;
}
