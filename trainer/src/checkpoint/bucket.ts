import { answered, checkpointBucket, checkpointStream, type RunId } from '@greedy-infomax/crds';
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { type ObjectInfo, type ObjectStore, Objm, setSha256Backend } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';
import { BucketError, CheckpointError } from './errors.ts';
import type { CheckpointFiles } from './files.ts';

/** Use native hashing: in JavaScript it would take more time than the network. */
setSha256Backend('native');

/** Maximum bytes of a message; fewer if the server's limit is lower. */
const CHUNK_BYTES = 512 * 1024;
/** Milliseconds until a request counts as lost. */
const TIMEOUT = 5000;
/** Age in milliseconds at which an incomplete upload counts as left by a killed trainer. */
const LEFTOVER_AGE = 10 * 60_000;

/** Contents of a bucket: names of objects, and ids of all uploads, complete or not. */
interface Contents {
  names: string[];
  uploads: string[];
}

/**
 * Bucket of a run's checkpoints in the NATS object store, within the permissions of a trainer. Objects are named
 * MODULE/replica-N/FILE. @nats-io/obj writes them; direct requests read them, because the reader of @nats-io/obj creates
 * consumers, which trainers may not, and waits forever for an object whose messages are gone.
 */
export class CheckpointBucket {
  readonly #run: RunId;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #jsm: JetStreamManager;
  readonly #store: ObjectStore;
  readonly #now: () => number;

  private constructor(run: RunId, jsm: JetStreamManager, store: ObjectStore, now: () => number) {
    this.#now = now;
    this.#run = run;
    this.#stream = checkpointStream(run);
    this.#prefix = `$O.${checkpointBucket(run)}`;
    this.#jsm = jsm;
    this.#store = store;
  }

  /** Opens the bucket without a request to the server. `now`: returns milliseconds since 1970. */
  static async open(
    connection: NatsConnection,
    run: RunId,
    now: () => number = Date.now,
  ): Promise<CheckpointBucket> {
    const options = { checkAPI: false, timeout: TIMEOUT };
    const js = jetstream(connection, options);
    const store = await new Objm(js).open(checkpointBucket(run), false);
    return new CheckpointBucket(run, await jetstreamManager(connection, options), store, now);
  }

  /** Returns the checkpoints of one replica. */
  files(module: string, replica: number | string): CheckpointFiles {
    const folder = `${module}/replica-${replica}/`;
    return {
      where: (name) => `${folder}${name} in bucket ${checkpointBucket(this.#run)}`,
      list: async () => {
        const { names } = await this.#contents();
        return names
          .filter((name) => name.startsWith(folder))
          .map((name) => name.slice(folder.length));
      },
      read: (name) => this.#read(folder + name),
      write: (name, bytes) => this.#write(folder + name, bytes),
      remove: (name) => this.#remove(folder + name),
      removeLeftovers: () => this.#removeLeftovers(),
    };
  }

  /** Returns the checkpoints of every replica that the module has had. */
  async filesOf(module: string): Promise<CheckpointFiles[]> {
    const { names } = await this.#contents();
    const replicas = names
      .map((name) => name.split('/'))
      .filter(([of, folder]) => of === module && folder?.startsWith('replica-'))
      .map(([, folder = '']) => folder.slice('replica-'.length));
    return [...new Set(replicas)].map((replica) => this.files(module, replica));
  }

  async #contents(): Promise<Contents> {
    const { state } = await this.#ask(() =>
      this.#jsm.streams.info(this.#stream, { subjects_filter: `${this.#prefix}.>` }),
    );
    const tails = (kind: string) =>
      Object.keys(state.subjects ?? {})
        .filter((subject) => subject.startsWith(`${this.#prefix}.${kind}.`))
        .map((subject) => subject.slice(this.#prefix.length + 3));
    const names = tails('M').map((name) => Buffer.from(name, 'base64url').toString());
    return { names, uploads: tails('C') };
  }

  async #info(name: string): Promise<ObjectInfo | null> {
    const subject = this.#metaSubject(name);
    const message = await this.#ask(() =>
      this.#jsm.direct.getMessage(this.#stream, { last_by_subj: subject }),
    );
    return message === null ? null : (message.json() as ObjectInfo);
  }

  async #read(name: string): Promise<Uint8Array | null> {
    const info = await this.#info(name);
    if (info === null) return null;
    // Other clients of the object store keep the name of a deleted object.
    if (info.deleted) throw new CheckpointError('the object was deleted');
    const parts: Uint8Array[] = [];
    for (let seq = 1; parts.length < info.chunks; ) {
      const query = { seq, next_by_subj: `${this.#prefix}.C.${info.nuid}` };
      const part = await this.#ask(() => this.#jsm.direct.getMessage(this.#stream, query));
      if (part === null) {
        // Its writer may have pruned it meanwhile; then its name is gone, too.
        if ((await this.#info(name)) === null) return null;
        throw new CheckpointError(`only ${parts.length} of its ${info.chunks} parts exist`);
      }
      parts.push(part.data);
      seq = part.seq + 1;
    }
    return Buffer.concat(parts);
  }

  async #write(name: string, bytes: Uint8Array): Promise<void> {
    try {
      const meta = { name, options: { max_chunk_size: CHUNK_BYTES } };
      await this.#store.putBlob(meta, bytes, { timeout: TIMEOUT });
    } catch (error) {
      throw new CheckpointError(
        `cannot write ${name} to bucket ${checkpointBucket(this.#run)}: ${(error as Error).message}; earlier checkpoints are intact; check the free space in the file store of the NATS server`,
        { cause: error },
      );
    }
  }

  /** Removes the name first, so that the parts count as a leftover. @nats-io/obj would keep the name forever. */
  async #remove(name: string): Promise<void> {
    const info = await this.#info(name);
    await this.#purge(this.#metaSubject(name));
    if (info) await this.#purge(`${this.#prefix}.C.${info.nuid}`);
  }

  async #removeLeftovers(): Promise<void> {
    const { names, uploads } = await this.#contents();
    if (uploads.length === names.length) return;
    const known = new Set<string>();
    for (const name of names) known.add((await this.#info(name))?.nuid ?? '');
    for (const upload of uploads.filter((id) => !known.has(id))) {
      const subject = `${this.#prefix}.C.${upload}`;
      const first = await this.#ask(() =>
        this.#jsm.direct.getMessage(this.#stream, { seq: 1, next_by_subj: subject }),
      );
      // A younger one may be an upload in progress of another trainer.
      if (first && this.#now() - first.time.getTime() > LEFTOVER_AGE) await this.#purge(subject);
    }
  }

  async #purge(filter: string): Promise<void> {
    await this.#ask(() => this.#jsm.streams.purge(this.#stream, { filter }));
  }

  #metaSubject = (name: string): string => `${this.#prefix}.M.${encoded(name)}`;

  async #ask<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await answered(request);
    } catch (error) {
      const bucket = `bucket ${checkpointBucket(this.#run)}`;
      if (isMissing(error)) {
        throw new BucketError(
          `${bucket} does not exist; the operator creates it if the NATS server has file storage`,
          { cause: error },
        );
      }
      throw new BucketError(
        `${bucket} does not answer: ${(error as Error).message}; NATS must be running`,
        { cause: error },
      );
    }
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;

/** Encodes a name like @nats-io/obj: padded base64url. */
const encoded = (name: string): string => {
  const text = Buffer.from(name).toString('base64url');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
};
