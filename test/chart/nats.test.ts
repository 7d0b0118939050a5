import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { makeAuth } from '../../operator/src/nats-keys/keys.ts';
import { find, ofKind, type Rendered, render, type Values } from './render.ts';

const NAME = 'greedy-infomax-nats';
const SERVER = resolve(import.meta.dirname, '../../node_modules/.bin/nats-server');
const run = promisify(execFile);

const pod = async (...values: Values[]) =>
  find(await render(...values), 'Deployment', NAME).spec.template.spec;
const configuration = async (...values: Values[]): Promise<string> =>
  find(await render(...values), 'ConfigMap', NAME).data['nats-server.conf'];

/** Output of nats-server for the configuration, with files laid out as in the pod. */
async function tried(...values: Values[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gim-chart-nats-'));
  try {
    for (const [name, text] of Object.entries(await makeAuth())) {
      writeFileSync(join(folder, name), text);
    }
    // The server reads certificate files only when it really starts.
    const text = (await configuration(...values))
      .replace(/tls \{[^}]*\}/, '')
      .replace('/data/accounts', join(folder, 'accounts'));
    writeFileSync(join(folder, 'nats-server.conf'), text);
    const { stderr } = await run(SERVER, ['-t', '--config', join(folder, 'nats-server.conf')]);
    return stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the configuration of NATS', () => {
  it.each(['default', 'open', 'high-availability', 'tls-by-secret'])(
    'is accepted by nats-server with the values %s',
    async (name) => {
      expect(await tried(...(name === 'default' ? [] : [name]))).toMatch(/is valid/);
    },
  );

  it('holds sizes in bytes', async () => {
    const text = await configuration({
      nats: {
        memoryStore: { size: '1.5Gi' },
        fileStore: { enabled: true, size: '20G' },
        maxPayload: '2M',
      },
    });
    expect(text).toContain('max_memory_store: 1610612736\n');
    expect(text).toContain('max_file_store: 20000000000\n');
    expect(text).toContain('max_payload: 2000000\n');
  });

  it('allows no file storage without a volume', async () => {
    expect(await configuration()).toContain('max_file_store: 0\n');
  });

  it('opens the monitoring port only if enabled', async () => {
    expect(await configuration()).not.toContain('http');
    expect(JSON.stringify(await render())).not.toContain('8222');
    const open = { nats: { monitoring: { enabled: true } } };
    expect(await configuration(open)).toContain('http_port: 8222\n');
    const services = ofKind(await render(open), 'Service');
    const ports = services.flatMap(({ spec }) => spec.ports.map(({ port }: Rendered) => port));
    expect(ports.filter((port) => port === 8222)).toHaveLength(1);
  });

  it('requires credentials unless disabled', async () => {
    expect(await configuration()).toContain('include auth.conf');
    expect(await configuration('open')).not.toContain('auth');
  });
});

describe('the pod', () => {
  it('mounts configuration and keys in one folder, so that one can include the other', async () => {
    const { volumes, containers } = await pod();
    const config = volumes.find(({ name }: Rendered) => name === 'config').projected.sources;
    expect(config[0].configMap.name).toBe(NAME);
    expect(config[1].secret).toEqual({
      name: 'greedy-infomax-nats-keys',
      // No credentials of the system account and no signing key: the server needs neither.
      items: [{ key: 'auth.conf', path: 'auth.conf' }],
    });
    expect(containers[0].args).toEqual(['--config=/etc/nats/nats-server.conf']);
  });

  it('restarts when its configuration changes, and only then', async () => {
    const checksum = async (...values: Values[]) =>
      find(await render(...values), 'Deployment', NAME).spec.template.metadata.annotations[
        'checksum/config'
      ];
    expect(await checksum({ operator: { replicas: 2 } })).toBe(await checksum());
    expect(await checksum({ nats: { maxPending: '64Mi' } })).not.toBe(await checksum());
  });

  it('keeps the heap of the server below its memory limit', async () => {
    const { env } = (await pod()).containers[0];
    expect(env).toEqual([{ name: 'GOMEMLIMIT', value: String(Math.floor(6 * 2 ** 30 * 0.9)) }]);
  });

  it('is in a StatefulSet with a volume when streams are in files', async () => {
    const objects = await render('high-availability');
    expect(ofKind(objects, 'Deployment')).toHaveLength(1);
    const { volumeClaimTemplates, template } = find(objects, 'StatefulSet', NAME).spec;
    expect(volumeClaimTemplates[0].spec).toMatchObject({
      storageClassName: 'fast',
      resources: { requests: { storage: '10Gi' } },
    });
    expect(template.spec.volumes.map(({ name }: Rendered) => name)).toEqual(['config']);
    expect(template.spec.nodeSelector).toEqual({ pool: 'messaging' });
  });

  it('is in a Deployment that moves from a lost node after 30 seconds', async () => {
    const objects = await render();
    expect(ofKind(objects, 'StatefulSet')).toEqual([]);
    const { strategy, template } = find(objects, 'Deployment', NAME).spec;
    expect(strategy).toEqual({ type: 'Recreate' });
    expect(template.spec.tolerations).toEqual(
      ['not-ready', 'unreachable'].map((taint) => ({
        key: `node.kubernetes.io/${taint}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 30,
      })),
    );
  });

  it('takes tolerations from the values, which override those for lost nodes', async () => {
    const own = { key: 'node.kubernetes.io/unreachable', operator: 'Exists', tolerationSeconds: 5 };
    const nats = { tolerations: [own], moveAfterSeconds: 60 };
    const { tolerations } = await pod({ nats });
    expect(tolerations).toEqual([
      own,
      expect.objectContaining({ key: 'node.kubernetes.io/not-ready', tolerationSeconds: 60 }),
    ]);
  });

  it.each(['default', 'high-availability'])('is selected by the Services with %s', async (name) => {
    const objects = await render(...(name === 'default' ? [] : [name]));
    const [workload] = objects.filter(
      ({ kind, metadata }) => /^(Deployment|StatefulSet)$/.test(kind) && metadata.name === NAME,
    );
    const { labels } = workload?.spec.template.metadata ?? {};
    for (const service of ofKind(objects, 'Service')) {
      expect(labels).toMatchObject(service.spec.selector);
      // The Services do not select pods of the other workload, so an upgrade never serves two
      // servers.
      expect(service.spec.selector['greedyinfomax.dev/nats-store']).toBeDefined();
    }
  });

  it('is absent with an external NATS, with all objects that belong to it', async () => {
    const objects = await render('external-nats');
    expect(objects.filter(({ metadata }) => metadata.name.startsWith(NAME))).toEqual([]);
  });
});

describe('TLS', () => {
  it('from cert-manager has its own CA, and the names that clients use', async () => {
    const objects = await render('tls-by-cert-manager');
    const { spec } = find(objects, 'Certificate', NAME);
    expect(spec.dnsNames).toContain('greedy-infomax-nats.gim.svc');
    expect(spec.secretName).toBe('greedy-infomax-nats-tls');
    const issuer = find(objects, 'Issuer', spec.issuerRef.name);
    const authority = find(objects, 'Certificate', issuer.spec.ca.secretName);
    expect(authority.spec.isCA).toBe(true);
    expect(find(objects, 'Issuer', authority.spec.issuerRef.name).spec).toEqual({ selfSigned: {} });
    const { volumes } = await pod('tls-by-cert-manager');
    expect(volumes.find(({ name }: Rendered) => name === 'tls').secret.secretName).toBe(
      'greedy-infomax-nats-tls',
    );
    expect(await configuration('tls-by-cert-manager')).toContain('key_file: /etc/nats-tls/tls.key');
  });

  it('from an issuer creates no other issuer', async () => {
    const objects = await render('tls-by-issuer');
    expect(ofKind(objects, 'Issuer')).toEqual([]);
    expect(find(objects, 'Certificate', NAME).spec.issuerRef).toEqual({
      name: 'company',
      kind: 'ClusterIssuer',
      group: 'cert-manager.io',
    });
  });

  it('from a Secret needs no cert-manager', async () => {
    const objects = await render('tls-by-secret');
    expect(objects.filter(({ apiVersion }) => apiVersion.startsWith('cert-manager'))).toEqual([]);
    const { volumes } = await pod('tls-by-secret');
    expect(volumes.find(({ name }: Rendered) => name === 'tls').secret.secretName).toBe(
      'nats-certificate',
    );
  });
});

describe('the hook that creates the keys', () => {
  const hooks = async (...values: Values[]) =>
    (await render(...values)).filter(({ metadata }) =>
      metadata.annotations?.['helm.sh/hook']?.includes('pre-install'),
    );

  it('runs before install and upgrade, after its service account and role', async () => {
    const found = await hooks();
    expect(found.map(({ kind }) => kind).toSorted()).toEqual([
      'Job',
      'Role',
      'RoleBinding',
      'ServiceAccount',
    ]);
    const weight = ({ metadata }: Rendered) =>
      Number(metadata.annotations?.['helm.sh/hook-weight']);
    const job = found.find(({ kind }) => kind === 'Job') as Rendered;
    for (const each of found) if (each !== job) expect(weight(each)).toBeLessThan(weight(job));
    expect(job.spec.template.spec.containers[0].args).toEqual([
      '--namespace=gim',
      '--secret=greedy-infomax-nats-keys',
    ]);
  });

  it('may create Secrets, and nothing else', async () => {
    const role = (await hooks()).find(({ kind }) => kind === 'Role') as Rendered;
    expect(role.rules).toEqual([{ apiGroups: [''], resources: ['secrets'], verbs: ['create'] }]);
  });

  it.each<[string, Values]>([
    ['NATS is open', 'open'],
    ['NATS is external', 'external-nats'],
    ['the Secret is there', { nats: { auth: { existingSecret: 'from-vault' } } }],
  ])('is left out when %s', async (_, values) => {
    expect(await hooks(values)).toEqual([]);
  });

  it('is not required: an existing Secret replaces it everywhere', async () => {
    const text = JSON.stringify(await render({ nats: { auth: { existingSecret: 'from-vault' } } }));
    expect(text).not.toContain('greedy-infomax-nats-keys');
    expect(text.match(/from-vault/g)).toHaveLength(5); // Operator and check: 2 each.
  });
});
