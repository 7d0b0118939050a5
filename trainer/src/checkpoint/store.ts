import { createHash } from 'node:crypto';
import { BucketError, CheckpointError, ConfigMismatchError } from './errors.ts';
import { type CheckpointFiles, folderFiles } from './files.ts';
import {
  bytesOf,
  decodeSafetensors,
  encodeSafetensors,
  type Safetensors,
  type StoredTensor,
} from './safetensors.ts';

export interface Checkpoint {
  /** Number of optimizer steps and of trained samples. */
  step: number;
  samples: number;
  tensors: Record<string, StoredTensor>;
  /** Other state that training needs to continue. */
  state: Record<string, string>;
}

/** Name and checksum of a saved checkpoint. */
export interface SavedCheckpoint {
  step: number;
  file: string;
  /** Checksum over tensors and metadata, which is also in the file. */
  sha256: string;
}

/** A damaged file, and the reason. */
export interface Skipped {
  file: string;
  why: string;
}

const FORMAT = 'greedy-infomax-checkpoint/1';
const FILE = /^checkpoint-(\d{9,})\.safetensors$/;

/** Checkpoints of one trainer in a folder or bucket that one process at a time writes to. */
export class CheckpointStore {
  /** Checkpoint that was last written or read; null before. */
  newest: SavedCheckpoint | null = null;
  readonly #files: CheckpointFiles;
  readonly #keep: number;
  readonly #configHash: string;
  /** Damaged files, which the next save removes. */
  #damaged = new Set<string>();

  /**
   * `place`: a folder, or other storage. `configHash`: hash of the module; checkpoints with another hash are refused.
   */
  constructor(
    place: string | CheckpointFiles,
    { keep, configHash }: { keep: number; configHash: string },
  ) {
    this.#files = typeof place === 'string' ? folderFiles(place) : place;
    this.#keep = keep;
    this.#configHash = configHash;
  }

  /**
   * Writes a checkpoint, then removes all but the newest `keep`. Throws a `CheckpointError` if the write fails; older
   * checkpoints are intact then.
   */
  async save({ step, samples, tensors, state }: Checkpoint): Promise<void> {
    await this.#files.removeLeftovers();
    const metadata = {
      format: FORMAT,
      configHash: this.#configHash,
      step: `${step}`,
      samples: `${samples}`,
      state: JSON.stringify(state),
    };
    const sha256 = digest({ tensors, metadata });
    const file = `checkpoint-${`${step}`.padStart(9, '0')}.safetensors`;
    const bytes = encodeSafetensors({ tensors, metadata: { ...metadata, sha256 } });
    await this.#files.write(file, bytes);
    this.#damaged.delete(file);
    await this.#prune(file);
    this.newest = { step, file, sha256 };
  }

  /**
   * Returns the newest valid checkpoint, or null, and the damaged files that are newer. Throws a `ConfigMismatchError` if
   * that checkpoint belongs to another module, a `BucketError` if NATS does not answer.
   */
  async loadNewest(attempts = 10): Promise<{ checkpoint: Checkpoint | null; skipped: Skipped[] }> {
    const skipped: Skipped[] = [];
    for (const file of await this.#checkpoints()) {
      const where = this.#files.where(file);
      try {
        const bytes = await this.#files.read(file);
        // The writer has newer files since the names were listed. A dangling link stays missing.
        if (bytes === null && attempts > 1) return this.loadNewest(attempts - 1);
        if (bytes === null) throw new CheckpointError('it is a link to a missing file');
        const { checkpoint, sha256 } = this.#parse(where, bytes);
        this.newest = { step: checkpoint.step, file, sha256 };
        return { checkpoint, skipped };
      } catch (error) {
        if (error instanceof ConfigMismatchError || error instanceof BucketError) throw error;
        this.#damaged.add(file);
        skipped.push({ file: where, why: (error as Error).message });
      }
    }
    return { checkpoint: null, skipped };
  }

  #parse(path: string, bytes: Uint8Array): { checkpoint: Checkpoint; sha256: string } {
    const { tensors, metadata } = decodeSafetensors(bytes);
    const { sha256, ...rest } = metadata;
    if (sha256 !== digest({ tensors, metadata: rest })) {
      throw new CheckpointError('the content does not match its checksum');
    }
    if (rest.configHash !== this.#configHash) {
      throw new ConfigMismatchError(
        `${path} is of a module with other layers, objective, data or seed (${rest.configHash}, this one is ${this.#configHash}); go on only with the same modules, or give another --out`,
      );
    }
    const { step, samples, state = '{}' } = rest;
    const checkpoint = {
      step: Number(step),
      samples: Number(samples),
      tensors,
      state: JSON.parse(state),
    };
    return { checkpoint, sha256 };
  }

  /** Returns the names of checkpoints, newest first. */
  async #checkpoints(): Promise<string[]> {
    return (await this.#files.list())
      .filter((file) => FILE.test(file))
      .sort((a, b) => stepOf(b) - stepOf(a));
  }

  /** Removes damaged and old files. Keeps `newest`, which was just written, even if other names are higher. */
  async #prune(newest: string): Promise<void> {
    const others = (await this.#checkpoints()).filter(
      (file) => file !== newest && !this.#damaged.has(file),
    );
    for (const file of [...this.#damaged, ...others.slice(this.#keep - 1)]) {
      await this.#files.remove(file);
    }
    this.#damaged = new Set();
  }
}

const stepOf = (file: string): number => Number(FILE.exec(file)?.[1]);

/** Returns the checksum of tensors and metadata, independent of their layout in the file. */
function digest({ tensors, metadata }: Safetensors): string {
  const hash = createHash('sha256');
  const names = Object.keys(tensors).sort();
  const table = names.map((name) => [name, tensors[name]?.dtype, tensors[name]?.shape]);
  hash.update(JSON.stringify([table, Object.entries(metadata).sort()]));
  for (const name of names) hash.update(bytesOf(tensors[name] as StoredTensor));
  return hash.digest('hex');
}
