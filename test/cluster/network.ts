import {
  cableAddresses,
  cableRange,
  hostAddress,
  hostLink,
  type NodeLayout,
  nodeAddress,
  podRange,
} from './layout.ts';
import type { Namespace } from './namespace.ts';
import { ClusterError, output } from './processes.ts';

/**
 * Network of a cluster, a star: one link from this machine to node 0, and one from node 0 to each
 * other node. Node 0 routes between all of them. There is no bridge between nodes: where the kernel
 * passes bridged packets through the node's rules as well, Services lose packets.
 */

/**
 * Reserves a number that no other cluster on this machine uses, by creating the link named after
 * it.
 */
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

/** Removes the link, which frees the number. */
export async function dropNumber(number: number): Promise<void> {
  await output('ip', ['link', 'del', hostLink(number)]).catch(() => undefined);
}

/** Creates the link from this machine to node 0. */
export async function connectToHost(namespace: Namespace, number: number): Promise<void> {
  await output('ip', ['link', 'set', hostLink(number), 'up']);
  await output('ip', ['link', 'set', `peer${number}`, 'netns', String(namespace.pid)]);
  await namespace.shell(`
    ip link set lo up
    ip link set peer${number} name eth0
    ip addr add ${nodeAddress(number)}/30 dev eth0
    ip link set eth0 up
    ip route add default via ${hostAddress(number)}
    echo 1 >/proc/sys/net/ipv4/ip_forward`);
  for (const range of [podRange(number), cableRange(number)]) {
    await output('ip', ['route', 'add', range, 'via', nodeAddress(number)]);
  }
}

/**
 * Creates the link from node 0 to another node: device `eth0` in that node, named after the node in
 * node 0.
 */
export async function connectToNode0(
  node0: Namespace,
  namespace: Namespace,
  node: NodeLayout,
): Promise<void> {
  const { node0: near, node: far } = cableAddresses(node.number, node.index);
  // Named after this cluster while it is on this machine, to differ from links of other clusters.
  const cable = `${hostLink(node.number)}-${node.index}`;
  const [nearEnd, farEnd] = [`${cable}a`, `${cable}b`];
  await output('ip', ['link', 'add', nearEnd, 'type', 'veth', 'peer', 'name', farEnd]);
  await output('ip', ['link', 'set', nearEnd, 'netns', String(node0.pid)]);
  await output('ip', ['link', 'set', farEnd, 'netns', String(namespace.pid)]);
  await node0.shell(`
    ip link set ${nearEnd} name ${node.name}
    ip addr add ${near}/30 dev ${node.name}
    ip link set ${node.name} up
    ip route add ${node.pods} via ${far}`);
  await namespace.shell(`
    ip link set lo up
    ip link set ${farEnd} name eth0
    ip addr add ${far}/30 dev eth0
    ip link set eth0 up
    ip route add default via ${near}
    echo 1 >/proc/sys/net/ipv4/ip_forward`);
}
