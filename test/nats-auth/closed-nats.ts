import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSigner, type Signer } from '../../operator/src/nats/signer.ts';
import { writeAuth } from '../../operator/src/nats-keys/files.ts';
import { makeAuth, type NatsAuth } from '../../operator/src/nats-keys/keys.ts';
import { trainerPermissions } from '../../operator/src/plan/nats-permissions.ts';
import type { RunPlan } from '../../operator/src/plan/run.ts';
import { startNats, type TestNats } from '../support/nats.ts';

/** A NATS server that is closed as the chart closes it. */

export interface ClosedNats {
  nats: TestNats;
  /** Files that init.ts writes. */
  authConf: string;
  operatorCreds: string;
  signingSeed: string;
  /** With TLS: who signed the server's certificate. */
  ca: string;
  /** Writes the credentials of the run's trainers; the file's name. */
  credsOf(plan: RunPlan): Promise<string>;
  /** Writes credentials of another server; the file's name. */
  strange(): Promise<string>;
  /** Writes a file that goes with the server; its name. */
  write(name: string, content: string): string;
  /** Closes the server with other keys from its next start; the returned function renews the operator's file. */
  renewKeys(): Promise<() => void>;
  stop(): Promise<void>;
}

interface ClosedNatsOptions {
  tls?: boolean;
  /** An address of this machine. */
  host?: string;
  /** Default: new keys. */
  auth?: NatsAuth;
}

export async function startClosedNats({
  tls = false,
  host = '127.0.0.1',
  auth,
}: ClosedNatsOptions = {}): Promise<ClosedNats> {
  const folder = mkdtempSync(join(tmpdir(), 'gim-auth-'));
  const keys = auth ?? (await makeAuth());
  writeAuth(folder, keys);
  const file = (name: string) => join(folder, name);
  const config = [`include "auth.conf"`];
  if (tls) {
    makeCertificates(folder, host);
    config.push(`tls { cert_file: "${file('server.crt')}", key_file: "${file('server.key')}" }`);
  }
  writeFileSync(file('server.conf'), config.join('\n'));
  const signer: Signer = await openSigner(
    { file: 'operator.creds', content: keys['operator.creds'] },
    { file: 'signing.seed', content: keys['signing.seed'] },
  );
  const nats = await startNats(host, { config: file('server.conf') });
  return {
    nats,
    authConf: file('auth.conf'),
    operatorCreds: file('operator.creds'),
    signingSeed: file('signing.seed'),
    ca: file('ca.crt'),
    async credsOf({ run, modules, streams, bucket }) {
      const edges = streams.map(({ name, consumer, sampleBytes }) => ({
        stream: name,
        consumer: consumer.name,
        sampleBytes,
      }));
      const id = { ...run, uid: modules[0]?.uid ?? '' };
      const permissions = trainerPermissions(id, edges, { bucket: bucket !== null });
      const creds = file(`${run.name}.creds`);
      writeFileSync(creds, await signer.mint(run.name, permissions));
      return creds;
    },
    async strange() {
      writeFileSync(file('strange.creds'), (await makeAuth())['operator.creds']);
      return file('strange.creds');
    },
    write(name, content) {
      writeFileSync(file(name), content, { mode: 0o600 });
      return file(name);
    },
    async renewKeys() {
      const renewed = await makeAuth();
      writeFileSync(file('auth.conf'), renewed['auth.conf']);
      return () => writeFileSync(file('operator.creds'), renewed['operator.creds']);
    },
    async stop() {
      await nats.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A CA of its own, and a certificate of it for localhost and the address. */
function makeCertificates(folder: string, address: string): void {
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const ca = ['-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=test CA'];
  openssl('req', '-x509', ...key, ...ca, '-days', '2');
  const names = `subjectAltName=DNS:localhost,IP:${address}`;
  const server = ['-keyout', 'server.key', '-out', 'server.crt', '-subj', '/CN=localhost'];
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-addext', names];
  openssl('req', '-x509', ...key, ...server, ...signed, '-days', '2');
}
