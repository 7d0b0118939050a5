import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigurationError } from './errors.ts';

/**
 * Simulates slow devices in experiments: with SLOWDOWN=module:factor,… each batch of that module takes `factor` times as
 * long. Without the variable nothing waits.
 */
export class Slowdown {
  readonly #factor: number;
  readonly #stop: AbortSignal;

  /** @throws ConfigurationError if the factor is not a number of at least 1 */
  constructor(module: string, text: string | undefined, stop: AbortSignal) {
    const entry = text?.split(',').find((part) => part.startsWith(`${module}:`));
    const factor = entry === undefined ? 1 : Number(entry.slice(module.length + 1));
    if (!(factor >= 1 && Number.isFinite(factor))) {
      throw new ConfigurationError(
        `SLOWDOWN contains ${entry}; the factor must be a number of at least 1, such as ${module}:4`,
      );
    }
    this.#factor = factor;
    this.#stop = stop;
  }

  /** Waits for the additional time of a slow device, for work that took `milliseconds` here. */
  async after(milliseconds: number): Promise<void> {
    if (this.#factor === 1) return;
    await sleep((this.#factor - 1) * milliseconds, undefined, { signal: this.#stop }).catch(
      () => {},
    );
  }
}
