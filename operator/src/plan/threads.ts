/** Threads of each of `trainers` that share the cores of one machine: at least one. */
export const threadsOf = (cores: number, trainers: number): number =>
  Math.max(1, Math.floor(cores / trainers));
