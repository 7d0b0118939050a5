import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { children, output, type Processes } from './processes.ts';

/**
 * A node's own network, mount and process id namespaces, at first without a link. When its process
 * 1 ends, the kernel ends every container and removes every mount and link, so that only cgroups
 * are left to remove.
 */
export interface Namespace {
  /** Process 1 of the namespaces, as numbered on this machine. */
  pid: number;
  /** Returns the command line that runs `command` inside. */
  enter(command: string[]): string[];
  /** Runs a shell script inside; fails with its first failing command. */
  shell(script: string): Promise<string>;
}

/** Folders where the kubelet, containerd and CNI keep state at fixed paths. */
const PRIVATE_FOLDERS = ['var', 'usr/libexec'];

/** Kernel settings required by the kubelet: it sees these values, and the machine keeps its own. */
const KERNEL_SETTINGS: Record<string, string> = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
};

export async function openNamespace(
  processes: Processes,
  folder: string,
  processOne: string,
): Promise<Namespace> {
  const unshare = [
    'unshare',
    '--mount',
    '--net',
    '--pid',
    '--mount-proc',
    '--kill-child',
    '--fork',
  ];
  const holder = processes.start('namespace', [...unshare, '--', processOne]);
  let pid = 0;
  await processes.until('namespace', 'own namespaces', async () => {
    pid = children(holder.pid as number)[0] ?? 0;
    // The program starts after its mounts, so the namespaces are complete by then.
    if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(processOne)) throw new Error();
  });
  const enter = (command: string[]) => [
    'nsenter',
    `--target=${pid}`,
    '--mount',
    '--net',
    '--pid',
    '--',
    ...command,
  ];
  const shell = (script: string) => {
    const [program = '', ...args] = enter(['sh', '-euc', script]);
    return output(program, args);
  };
  await shell(mounts(folder));
  return { pid, enter, shell };
}

function mounts(folder: string): string {
  const lines = ['mount -t tmpfs tmpfs /run'];
  for (const name of PRIVATE_FOLDERS.filter((folderName) => existsSync(`/${folderName}`))) {
    const own = join(folder, 'mounts', name);
    mkdirSync(join(own, 'upper'), { recursive: true });
    mkdirSync(join(own, 'work'), { recursive: true });
    const layers = `lowerdir=/${name},upperdir=${own}/upper,workdir=${own}/work`;
    lines.push(`mount -t overlay overlay -o ${layers} /${name}`);
  }
  mkdirSync(join(folder, 'kernel'), { recursive: true });
  for (const [setting, value] of Object.entries(KERNEL_SETTINGS)) {
    const file = join(folder, 'kernel', setting.replaceAll('/', '.'));
    writeFileSync(file, `${value}\n`);
    if (existsSync(`/proc/sys/${setting}`)) lines.push(`mount --bind ${file} /proc/sys/${setting}`);
  }
  return lines.join('\n');
}
