import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A component of the cluster did not start; the message has the end of its log. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
}

/** Runs a program to completion and returns its output. */
export async function output(
  program: string,
  args: string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const { stdout } = await run(program, args, { env, maxBuffer: 64 * 2 ** 20 });
  return stdout.trim();
}

/**
 * Long-running programs with one log each. The kernel kills them when this process ends for any
 * reason (parent-death signal), even by SIGKILL, so nothing is left behind.
 */
export class Processes {
  private readonly folder: string;
  private readonly running = new Map<string, ChildProcess>();

  constructor(folder: string) {
    this.folder = folder;
  }

  start(name: string, command: string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
    const log = openSync(join(this.folder, `${name}.log`), 'a');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
      env,
      stdio: ['ignore', log, log],
      detached: true, // An interrupt from the terminal reaches only this process.
    });
    closeSync(log);
    this.running.set(name, child);
    return child;
  }

  /** Kills the program at once; resolves when it has ended. */
  async kill(name: string): Promise<void> {
    const child = this.running.get(name);
    this.running.delete(name);
    if (!child || ended(child)) return;
    const gone = once(child, 'exit');
    // nsenter forks into the process id namespace: the program is its child.
    const pids = [...children(child.pid as number), child.pid as number];
    for (const pid of pids) signal(pid);
    await gone;
    while (pids.some(alive)) await sleep(5);
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.running.keys()].map((name) => this.kill(name)));
  }

  /** Repeats `attempt` until it succeeds; fails when the program `name` ends or after `seconds`. */
  async until(
    name: string,
    what: string,
    attempt: () => Promise<unknown>,
    seconds = 120,
  ): Promise<void> {
    for (const end = Date.now() + seconds * 1000; ; ) {
      try {
        await attempt();
        return;
      } catch (error) {
        const child = this.running.get(name);
        const state = !child || ended(child) ? 'ended' : Date.now() > end ? 'is not done' : '';
        if (state) {
          const message = `${name} ${state} before "${what}"; the end of its log:\n${this.tail(name)}`;
          throw new ClusterError(message, { cause: error });
        }
        await sleep(50);
      }
    }
  }

  private tail(name: string): string {
    const log = readFileSync(join(this.folder, `${name}.log`), 'utf8');
    return log.split('\n').slice(-20).join('\n');
  }
}

/**
 * Reports whether a process has ended. A process whose last thread has ended holds no ports, files
 * or devices: it counts as ended, although it is listed until its parent reaps it.
 */
function alive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const zombie = stat.at(stat.lastIndexOf(')') + 2) === 'Z';
    return !zombie || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

const ended = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

export function children(pid: number): number[] {
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return list.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Sends SIGKILL to a process that may have ended already. */
export function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has already ended.
  }
}
