import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hostAddress, hostLink, nodeAddress, podRange } from './layout.ts';
import { ClusterError, children, output, type Processes } from './processes.ts';

/**
 * A node's own network, mount and process id namespaces, joined to this machine by one cable. With
 * the end of its process 1 the kernel ends every container and removes every mount and link, so that
 * only cgroups are left to remove.
 */
export interface Namespace {
  /** Process 1 of the namespaces, as this machine numbers it. */
  pid: number;
  /** The command line that runs `command` inside. */
  enter(command: string[]): string[];
}

/** Folders that the kubelet, containerd and CNI write to, wherever they are told to keep their state. */
const PRIVATE_FOLDERS = ['var', 'usr/libexec'];

/** What the kubelet demands of the kernel: it sees these values, and the machine keeps its own. */
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
  number: number,
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
    // The program follows its mounts: by then the namespaces are complete.
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
  const inside = async (script: string) => {
    const [program = '', ...args] = enter(['sh', '-euc', script]);
    await output(program, args);
  };
  await inside(mounts(folder));
  await connect(pid, number);
  await inside(`
    ip link set lo up
    ip addr add ${nodeAddress(number)}/30 dev eth0
    ip link set eth0 up
    ip route add default via ${hostAddress(number)}
    echo 1 >/proc/sys/net/ipv4/ip_forward`);
  await output('ip', ['route', 'add', podRange(number), 'via', nodeAddress(number)]);
  return { pid, enter };
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

/** Lays the cable from this machine to the namespace of process `pid`. */
async function connect(pid: number, number: number): Promise<void> {
  const link = hostLink(number);
  await output('ip', ['link', 'set', link, 'up']);
  await output('ip', ['link', 'set', `peer${number}`, 'netns', String(pid), 'name', 'eth0']);
}

/** Takes a number that no other cluster on this machine has, by making the cable that is named by it. */
export async function takeNumber(): Promise<number> {
  for (let number = 0; number < 256; number += 1) {
    const link = hostLink(number);
    const cable = ['link', 'add', link, 'type', 'veth', 'peer', 'name', `peer${number}`];
    try {
      await output('ip', cable);
    } catch (error) {
      if (String(error).includes('File exists')) continue;
      throw new ClusterError(
        'A test cluster with a node needs root and network namespaces: ask for nodes: 0, or set GIM_TEST_KUBECONFIG',
        { cause: error },
      );
    }
    await output('ip', ['addr', 'add', `${hostAddress(number)}/30`, 'dev', link]);
    return number;
  }
  throw new ClusterError('256 test clusters run on this machine: stop some');
}

/** Removes the cable of a node that did not come up; with the node it goes by itself. */
export async function dropNumber(number: number): Promise<void> {
  await output('ip', ['link', 'del', hostLink(number)]).catch(() => undefined);
}

const CGROUPS = '/sys/fs/cgroup';

/** The roots of all cgroup hierarchies: one with cgroup v2, one for each controller with v1. */
function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return readdirSync(CGROUPS)
    .map((name) => join(CGROUPS, name))
    .filter((root) => existsSync(join(root, 'cgroup.procs')));
}

export function makeCgroup(name: string): void {
  for (const root of hierarchies()) {
    mkdirSync(join(root, name), { recursive: true });
    for (const setting of ['cpuset.cpus', 'cpuset.mems']) {
      const file = join(root, setting);
      // A new cpuset of cgroup v1 is empty, and takes no process until it names processors.
      if (root !== CGROUPS && existsSync(file)) {
        writeFileSync(join(root, name, setting), readFileSync(file));
      }
    }
  }
}

/** Removes a cgroup with all below it, as soon as the kernel has ended the last process in it. */
export async function removeCgroup(name: string): Promise<void> {
  for (const root of hierarchies()) {
    for (let attempt = 0; attempt < 100 && !removeTree(join(root, name)); attempt += 1) {
      await sleep(50);
    }
  }
}

function removeTree(folder: string): boolean {
  if (!existsSync(folder)) return true;
  let empty = true;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) empty = removeTree(join(folder, entry.name)) && empty;
  }
  try {
    if (empty) rmdirSync(folder);
    return empty;
  } catch {
    return false;
  }
}

export const cgroupNames = (): string[] => [
  ...new Set(hierarchies().flatMap((root) => readdirSync(root))),
];
