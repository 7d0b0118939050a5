import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

/**
 * Images of this checkout, built from its Dockerfiles, and containers of them run as by a kubelet.
 * Needs root.
 */

export type ImageName = 'operator' | 'trainer-cpu' | 'trainer';

/** Configuration of an image, as in the OCI image specification. */
export interface ImageConfig {
  User: string;
  Env: string[];
  Entrypoint: string[];
  WorkingDir: string;
  Labels: Record<string, string>;
}

export interface ContainerOptions {
  /** Overrides the image's entrypoint. */
  command?: string[];
  args?: string[];
  env?: Record<string, string>;
  /** Folders of this machine by their path in the container, which can write to them. */
  folders?: Record<string, string>;
  /** Uses the machine's network; without it the container has no network, not even a loopback. */
  hostNetwork?: boolean;
}

export interface Ended {
  code: number;
  /** Output on stdout and stderr. */
  output: string;
}

export interface Image {
  config: ImageConfig;
  /** The root file system, mounted on this machine. */
  root: string;
  /**
   * Runs a container to completion: read-only root, the image's user, no capability, an empty /tmp.
   */
  run(options: ContainerOptions): Promise<Ended>;
  close(): Promise<void>;
}

/** Maximum time to build the images first, for `beforeAll`. */
export const BUILD_TIMEOUT = 20 * 60_000;

const REPOSITORIES: Record<ImageName, string> = {
  operator: 'test.local/greedy-infomax/operator:test',
  'trainer-cpu': 'test.local/greedy-infomax/trainer:test-cpu',
  trainer: 'test.local/greedy-infomax/trainer:test',
};

const execute = promisify(execFile);
const script = async (name: string, ...args: string[]): Promise<string> => {
  const { stdout } = await execute(join(import.meta.dirname, name), args, { maxBuffer: 1 << 26 });
  return stdout.trim();
};

/** Builds the image unless it exists; resolves with the path of a docker archive of it. */
export const buildImage = (name: ImageName): Promise<string> => script('build.sh', name);

/** Opens a built image. */
export async function openImage(name: ImageName): Promise<Image> {
  const about = JSON.parse(
    await script('buildah.sh', 'inspect', '--type=image', REPOSITORIES[name]),
  );
  const config: ImageConfig = about.OCIv1.config;
  const container = await script('buildah.sh', 'from', '--pull-never', REPOSITORIES[name]);
  const root = await script('buildah.sh', 'mount', container);
  const runc = join(await script('tools.sh'), 'ready/runc');
  return {
    config,
    root,
    run: (options) => runContainer(runc, root, config, options),
    async close() {
      await script('buildah.sh', 'rm', container);
    },
  };
}

async function runContainer(
  runc: string,
  root: string,
  config: ImageConfig,
  options: ContainerOptions,
): Promise<Ended> {
  const bundle = mkdtempSync(join(tmpdir(), 'gim-container-'));
  const state = join(bundle, 'state');
  mkdirSync(state);
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(specification(root, config, options)));
  try {
    const args = ['--root', state, 'run', '--bundle', bundle, basename(bundle)];
    const { stdout, stderr } = await execute(runc, args, { maxBuffer: 1 << 26 });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    if (typeof code !== 'number') throw error;
    return { code, output: stdout + stderr };
  } finally {
    rmSync(bundle, { recursive: true, force: true });
  }
}

/**
 * OCI runtime specification of a container with the rights that operator and chart give to pods.
 */
function specification(root: string, config: ImageConfig, options: ContainerOptions): object {
  const [uid, gid] = config.User.split(':').map(Number);
  const env = Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`);
  const namespaces = ['pid', 'ipc', 'uts', 'mount', ...(options.hostNetwork ? [] : ['network'])];
  const mount = (destination: string, type: string, more: string[] = []) => {
    return { destination, type, source: type, options: ['nosuid', ...more] };
  };
  return {
    ociVersion: '1.0.2',
    hostname: 'container',
    root: { path: root, readonly: true },
    process: {
      user: { uid, gid },
      args: [...(options.command ?? config.Entrypoint), ...(options.args ?? [])],
      env: [...config.Env, ...env],
      cwd: config.WorkingDir,
      noNewPrivileges: true,
      capabilities: {},
    },
    mounts: [
      mount('/proc', 'proc'),
      mount('/dev', 'tmpfs', ['mode=755']),
      mount('/tmp', 'tmpfs', ['mode=1777']),
      ...Object.entries(options.folders ?? {}).map(([destination, source]) => {
        return { destination, type: 'bind', source, options: ['rbind', 'rw'] };
      }),
    ],
    linux: { namespaces: namespaces.map((type) => ({ type })) },
  };
}
