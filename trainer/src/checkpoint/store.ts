import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from './atomic.ts';
import { CheckpointError, ConfigMismatchError } from './errors.ts';
import {
  bytesOf,
  decodeSafetensors,
  encodeSafetensors,
  type Safetensors,
  type StoredTensor,
} from './safetensors.ts';

export interface Checkpoint {
  /** Optimizer steps made, and samples trained on. */
  step: number;
  samples: number;
  tensors: Record<string, StoredTensor>;
  /** Whatever else training needs to go on. */
  state: Record<string, string>;
}

/** A file that is not what it should be, and in what way. */
export interface Skipped {
  file: string;
  why: string;
}

const FORMAT = 'greedy-infomax-checkpoint/1';
const FILE = /^checkpoint-(\d{9,})\.safetensors$/;
const LEFTOVER = /^checkpoint-\d+\.safetensors\.tmp$/;

/** The checkpoints of one module in a folder of its own, which only one process at a time writes to. */
export class CheckpointStore {
  readonly #folder: string;
  readonly #keep: number;
  readonly #configHash: string;
  /** Files that were found damaged; the next save takes them away. */
  #damaged = new Set<string>();

  /** `configHash` tells checkpoints that this module can go on from from those of others. */
  constructor(folder: string, { keep, configHash }: { keep: number; configHash: string }) {
    this.#folder = folder;
    this.#keep = keep;
    this.#configHash = configHash;
  }

  /**
   * Writes a checkpoint, then removes all but the newest `keep`. Throws a `CheckpointError` if the file
   * system refuses; older checkpoints are intact then.
   */
  async save({ step, samples, tensors, state }: Checkpoint): Promise<void> {
    await this.#removeLeftovers();
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
    await writeAtomically(join(this.#folder, file), bytes);
    this.#damaged.delete(file);
    await this.#prune(file);
  }

  /**
   * The newest checkpoint that is whole, or null; and the damaged files that are newer. Throws a
   * `ConfigMismatchError` if that checkpoint belongs to another module.
   */
  async loadNewest(): Promise<{ checkpoint: Checkpoint | null; skipped: Skipped[] }> {
    const skipped: Skipped[] = [];
    for (const file of await this.#files()) {
      const path = join(this.#folder, file);
      try {
        return { checkpoint: this.#parse(path, await readFile(path)), skipped };
      } catch (error) {
        if (error instanceof ConfigMismatchError) throw error;
        // The writer has newer ones since the folder was read.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return this.loadNewest();
        this.#damaged.add(file);
        skipped.push({ file: path, why: (error as Error).message });
      }
    }
    return { checkpoint: null, skipped };
  }

  #parse(path: string, bytes: Uint8Array): Checkpoint {
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
    return {
      step: Number(rest.step),
      samples: Number(rest.samples),
      tensors,
      state: JSON.parse(rest.state ?? '{}'),
    };
  }

  /** Names of checkpoints, newest first. */
  async #files(): Promise<string[]> {
    return (await this.#list())
      .filter((file) => FILE.test(file))
      .sort((a, b) => stepOf(b) - stepOf(a));
  }

  async #list(): Promise<string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (['ENOENT', 'ENOTDIR'].includes(code)) return []; // no such folder: no checkpoints
      throw error;
    }
  }

  async #removeLeftovers(): Promise<void> {
    for (const file of await this.#list()) {
      if (LEFTOVER.test(file)) await rm(join(this.#folder, file), { force: true });
    }
  }

  /** `newest` was just written: it stays, whatever the others are called. */
  async #prune(newest: string): Promise<void> {
    const others = (await this.#files()).filter(
      (file) => file !== newest && !this.#damaged.has(file),
    );
    for (const file of [...this.#damaged, ...others.slice(this.#keep - 1)]) {
      await rm(join(this.#folder, file), { force: true });
    }
    this.#damaged = new Set();
  }
}

const stepOf = (file: string): number => Number(FILE.exec(file)?.[1]);

/** Over all that a file says, and not over how it lays it out. */
function digest({ tensors, metadata }: Safetensors): string {
  const hash = createHash('sha256');
  const names = Object.keys(tensors).sort();
  const table = names.map((name) => [name, tensors[name]?.dtype, tensors[name]?.shape]);
  hash.update(JSON.stringify([table, Object.entries(metadata).sort()]));
  for (const name of names) hash.update(bytesOf(tensors[name] as StoredTensor));
  return hash.digest('hex');
}
