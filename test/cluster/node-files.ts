import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type NodeLayout, nodeAddress } from './layout.ts';

/** Configuration of containerd, the pod network and the kubelet. */

export const containerdSocket = (folder: string): string => join(folder, 'containerd.sock');

export function writeNodeFiles(node: NodeLayout): void {
  const { folder } = node;
  mkdirSync(join(folder, 'cni'), { recursive: true });
  mkdirSync(join(folder, 'pod-logs'), { recursive: true });
  writeFileSync(join(folder, 'resolv.conf'), '');
  writeFileSync(join(folder, 'containerd.toml'), containerdConfig(node));
  writeFileSync(join(folder, 'cni/10-test.conflist'), JSON.stringify(podNetwork(node)));
  writeFileSync(join(folder, 'kubelet.json'), JSON.stringify(kubeletConfig(node)));
}

const containerdConfig = ({ folder, tools }: NodeLayout): string => `version = 2
root = "${folder}/containerd"
state = "${folder}/containerd-state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "${containerdSocket(folder)}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "test.local/pause:1"
  # A container without CAP_SYS_RESOURCE, as CI machines are, cannot lower oom_score_adj.
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "${tools}/usr/sbin/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${tools}/usr/lib/cni"
    conf_dir = "${folder}/cni"
`;

const podNetwork = ({ folder, pods }: NodeLayout) => ({
  cniVersion: '1.0.0',
  name: 'test',
  plugins: [
    {
      type: 'bridge',
      bridge: 'pods',
      isGateway: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        dataDir: join(folder, 'cni-state'),
        ranges: [[{ subnet: pods }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
  ],
});

const kubeletConfig = ({ folder, clusterFolder, cgroup, address, number }: NodeLayout) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  failCgroupV1: false, // Many CI machines still have cgroup v1.
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${cgroup}`,
  oomScoreAdj: 0, // Cannot be lowered without CAP_SYS_RESOURCE.
  failSwapOn: false,
  containerRuntimeEndpoint: `unix://${containerdSocket(folder)}`,
  address,
  clusterDNS: [nodeAddress(number)], // The program dns runs on node 0.
  clusterDomain: 'cluster.local',
  nodeStatusUpdateFrequency: '2s', // Maximum time until a change of the offered GPUs is visible.
  nodeStatusReportFrequency: '5m', // Interval of unchanged status.
  nodeLeaseDurationSeconds: 8, // Renewed every 2 s; absence is detected after 20 s.
  resolvConf: join(folder, 'resolv.conf'),
  podLogsDir: join(folder, 'pod-logs'),
  volumePluginDir: join(folder, 'volume-plugins'),
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: join(clusterFolder, 'ca.crt') },
  },
  authorization: { mode: 'Webhook' },
  // Other processes share the disk: only a nearly full one may evict pods.
  evictionHard: {
    'memory.available': '200Mi',
    'nodefs.available': '2%',
    'nodefs.inodesFree': '1%',
    'imagefs.available': '2%',
  },
  imageGCHighThresholdPercent: 100,
});
