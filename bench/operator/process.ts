import { readFileSync } from 'node:fs';

/** CPU and memory of a process, from Linux. */

/** Clock ticks per second, the same on every Linux that Node supports. */
const TICKS = 100;

/** CPU seconds since its start. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in brackets, may contain spaces; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Megabytes: resident now, and peak since its start. */
export function memory(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (key: string) => Number(status.match(`${key}:\\s+(\\d+) kB`)?.[1]) / 1000;
  return { now: of('VmRSS'), peak: of('VmHWM') };
}
