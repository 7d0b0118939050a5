import type { Report } from '@greedy-infomax/crds';
import type { Trainer, TrainerState } from './trainer-process.ts';

/** In this order: what one of its trainers is in, a module is in. */
const STATES: readonly TrainerState[] = ['failed', 'running', 'waiting', 'idle', 'stopped', 'done'];

/** The trainers of one module, as many as are asked for. */
export class Crew {
  readonly module: string;
  readonly #make: (replica: number) => Trainer;
  /** By their number. */
  #trainers: Trainer[] = [];
  /** Asked to leave; they may still write a checkpoint. */
  readonly #leaving = new Set<Trainer>();
  /** Numbers whose last trainer has not left yet. */
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

  /** Those that are too many get `graceMs` for a checkpoint; the highest numbers go first. */
  scale(replicas: number, graceMs: number): void {
    for (const trainer of this.#trainers.splice(replicas)) {
      this.#leaving.add(trainer);
      const left = trainer.stop(graceMs).then(() => {
        this.#leaving.delete(trainer);
        this.#taken.delete(trainer.replica);
      });
      this.#taken.set(trainer.replica, left);
    }
    // Two of one number would write to the same folder.
    while (this.#trainers.length < replicas && !this.#taken.has(this.#trainers.length)) {
      this.#trainers.push(this.#make(this.#trainers.length));
    }
  }

  /** Starts those that were never started. */
  start(): void {
    for (const trainer of this.#trainers) if (trainer.state === 'idle') trainer.start();
  }

  /** Starts those again that have ended. */
  restartDone(): void {
    for (const trainer of this.#trainers) if (trainer.state === 'done') trainer.restart();
  }

  noteProgress(report: Report): void {
    this.#trainers[report.replica]?.noteProgress(report);
  }

  killHung(hungAfterMs: number): void {
    for (const trainer of this.#trainers) trainer.killIfHung(hungAfterMs);
  }

  /** Resolves when all have ended. */
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
