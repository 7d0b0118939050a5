import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

/** Contents of the images, as named by package-lock.json, Dockerfiles and the chart's values. */

const ROOT = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Package {
  name?: string;
  version: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  dev?: boolean;
}

/** Installed packages by path; an alias has the name of the package that it stands for. */
const packages = Object.entries(
  (JSON.parse(read('package-lock.json')) as { packages: Record<string, Package> }).packages,
)
  .filter(([path, { link }]) => path.includes('node_modules/') && !link)
  .map(([path, found]) => ({ ...found, name: found.name ?? path.split('node_modules/').at(-1) }));

/** First major version of a package without the known vulnerabilities of older ones. */
const SAFE_FROM: Record<string, number> = {
  'adm-zip': Number.POSITIVE_INFINITY, // No safe version: only tfjs-node's download script uses it.
  'https-proxy-agent': 5,
  minimatch: 9,
  'node-fetch': 3,
  rimraf: 4,
  tar: 7,
};

describe('npm packages', () => {
  it('come from the npm registry, by hash', () => {
    expect(packages.length).toBeGreaterThan(150);
    for (const { name, resolved, integrity } of packages) {
      expect(integrity, name).toMatch(/^sha512-/);
      if (resolved) expect(resolved, name).toMatch(/^https:\/\/registry\.npmjs\.org\//);
    }
  });

  it('in the images include no downloader of install scripts and no outdated version', () => {
    const shipped = packages.filter(({ dev }) => !dev);
    expect(shipped.length).toBeGreaterThan(50);
    const old = shipped.filter(({ name = '', version }) => {
      const from = SAFE_FROM[name];
      return from !== undefined && Number.parseInt(version, 10) < from;
    });
    expect(old.map(({ name, version }) => `${name}@${version}`)).toEqual([]);
  });
});

describe('images', () => {
  it.each(['operator/Dockerfile', 'trainer/Dockerfile'])(
    '%s starts from exact versions',
    (path) => {
      const text = read(path);
      const bases = [...text.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
      const stages = new Set([...text.matchAll(/^FROM \S+ AS (\S+)/gm)].map(([, name]) => name));
      const foreign = bases.filter((base) => base !== 'scratch' && !stages.has(base));
      expect(foreign.length).toBeGreaterThan(0);
      for (const base of foreign) expect(base).toMatch(/^\$\{NODE_IMAGE\}$/);
      expect(text).toMatch(
        /^ARG NODE_IMAGE=\S+:\d+\.\d+\.\d+-bookworm-slim(@sha256:[0-9a-f]{64})?$/m,
      );
    },
  );

  it('of NATS have an exact version', () => {
    const { nats } = parse(read('charts/greedy-infomax/values.yaml'));
    expect(nats.image.tag).toMatch(/^\d+\.\d+\.\d+-alpine$/);
  });
});
