import type { Report } from '@greedy-infomax/crds';
import type { Trainer, TrainerState } from './trainer-process.ts';

/** States in order of precedence: a module has the first state that one of its trainers has. */
const STATES: readonly TrainerState[] = ['failed', 'running', 'waiting', 'idle', 'stopped', 'done'];

/** The trainers of one module, scaled to a wanted number. */
export class Crew {
  readonly module: string;
  readonly #make: (replica: number) => Trainer;
  /** Trainers by replica number. */
  #trainers: Trainer[] = [];
  /** Stopping trainers; they may still write a checkpoint. */
  readonly #leaving = new Set<Trainer>();
  /** Replica numbers whose previous trainer is still stopping. */
  readonly #taken = new Map<number, Promise<void>>();

  constructor(module: string, make: (replica: number) => Trainer) {
    this.module = module;
    this.#make = make;
  }

  get size(): number {
    return this.#trainers.length;
  }

  get state(): TrainerState {
    return (
      STATES.find((state) => this.#trainers.some((trainer) => trainer.state === state)) ?? 'idle'
    );
  }

  get restarts(): number {
    return this.#trainers.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  get failed(): Trainer | undefined {
    return this.#trainers.find(({ state }) => state === 'failed');
  }

  /** Trainers that were stopped without a checkpoint of their last step. */
  get unsaved(): Trainer[] {
    return this.#trainers.filter(({ isUnsaved }) => isUnsaved);
  }

  /** Starts or stops trainers until there are `replicas`. Stops the highest numbers, with `graceMs` for a checkpoint. */
  scale(replicas: number, graceMs: number): void {
    for (const trainer of this.#trainers.splice(replicas)) {
      this.#leaving.add(trainer);
      const left = trainer.stop(graceMs).then(() => {
        this.#leaving.delete(trainer);
        this.#taken.delete(trainer.replica);
      });
      this.#taken.set(trainer.replica, left);
    }
    // Two trainers with the same number would write to the same folder.
    while (this.#trainers.length < replicas && !this.#taken.has(this.#trainers.length)) {
      this.#trainers.push(this.#make(this.#trainers.length));
    }
  }

  /** Starts the trainers that were never started. */
  start(): void {
    for (const trainer of this.#trainers) if (trainer.state === 'idle') trainer.start();
  }

  /** Restarts the trainers that are done. */
  restartDone(): void {
    for (const trainer of this.#trainers) if (trainer.state === 'done') trainer.restart();
  }

  noteProgress(report: Report): void {
    this.#trainers[report.replica]?.noteProgress(report);
  }

  killHung(hungAfterMs: number): void {
    for (const trainer of this.#trainers) trainer.killIfHung(hungAfterMs);
  }

  /** Stops all trainers; resolves when all have ended. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all([
      ...this.#trainers.map((trainer) => trainer.stop(graceMs)),
      ...this.#taken.values(),
    ]);
  }

  kill(): void {
    for (const trainer of [...this.#trainers, ...this.#leaving]) trainer.kill();
  }
}
