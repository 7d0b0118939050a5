import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';

/** Description of the machine of a measurement. */
export function machine(): string {
  const [cpu] = cpus();
  const load = (loadavg()[0] as number).toFixed(1);
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (${cpu?.model.trim()}), ${memory} GiB, Linux, load ${load} from all that runs; Node ${process.versions.node}`;
}

/** First line of a program's version output. */
export const versionOf = (program: string, argument = '--version'): string =>
  execFileSync(program, [argument], { encoding: 'utf8' }).split('\n')[0] as string;
