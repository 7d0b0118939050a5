import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';

/** What a result has to say of where it was measured. */
export function machine(): string {
  const [cpu] = cpus();
  const load = (loadavg()[0] as number).toFixed(1);
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (${cpu?.model.trim()}), ${memory} GiB, Linux, load ${load} from all that runs; Node ${process.versions.node}`;
}

/** First line of what a program says of its version. */
export const versionOf = (program: string, argument = '--version'): string =>
  execFileSync(program, [argument], { encoding: 'utf8' }).split('\n')[0] as string;
