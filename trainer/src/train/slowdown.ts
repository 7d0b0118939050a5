import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigurationError } from './errors.ts';

/**
 * For experiments with slow devices: SLOWDOWN=module:factor,… makes a trainer of that module take `factor` times
 * as long for each batch as it would. Unset, nothing waits.
 */
export class Slowdown {
  readonly #factor: number;
  readonly #stop: AbortSignal;

  /** Throws a `ConfigurationError` for a factor that is no number from 1 on. */
  constructor(module: string, text: string | undefined, stop: AbortSignal) {
    const entry = text?.split(',').find((part) => part.startsWith(`${module}:`));
    const factor = entry === undefined ? 1 : Number(entry.slice(module.length + 1));
    if (!(factor >= 1 && Number.isFinite(factor))) {
      throw new ConfigurationError(
        `SLOWDOWN has ${entry}; ${module}:4 would make the module 4 times as slow`,
      );
    }
    this.#factor = factor;
    this.#stop = stop;
  }

  /** Waits for what a slow device would take beyond the `milliseconds` that the work has taken here. */
  async after(milliseconds: number): Promise<void> {
    if (this.#factor === 1) return;
    await sleep((this.#factor - 1) * milliseconds, undefined, { signal: this.#stop }).catch(
      () => {},
    );
  }
}
