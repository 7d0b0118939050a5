/** Pure parts of the code that get mutants, each with the tests that must detect them. */
export interface Part {
  /** Globs of files that get mutants. */
  mutate: readonly string[];
  /** Globs of the tests that run against each mutant. */
  tests: readonly string[];
  /** One window of lines in this many gets mutants, see `windows`. 1: all lines. */
  oneIn: number;
  /** Leaves out mutants of module constants, because each needs all tests of the part in a new process. */
  skipConstants?: true;
}

export const PARTS: Record<string, Part> = {
  validation: {
    mutate: ['crds/src/validation/**/*.ts'],
    // Excludes hostile-files.test.ts, whose tests take seconds each.
    tests: ['crds/src/validation/{parse,path,rules,speech,validate-run}.test.ts'],
    oneIn: 1,
  },
  network: {
    mutate: ['crds/src/network/*.ts'],
    tests: [
      'crds/src/network/*.test.ts',
      'crds/src/validation/{parse,speech,validate-run}.test.ts',
      'trainer/src/model/costs.test.ts',
      'trainer/src/step/codecs.test.ts',
    ],
    oneIn: 2,
  },
  frames: {
    mutate: [
      'trainer/src/buffer/frame.ts',
      'crds/src/protocol/frame-limits.ts',
      'crds/src/protocol/replay.ts',
    ],
    tests: ['trainer/src/buffer/frame.test.ts', 'crds/src/protocol/*.test.ts'],
    oneIn: 1,
  },
  plan: {
    mutate: ['operator/src/plan/*.ts'],
    tests: ['operator/src/plan/*.test.ts'],
    oneIn: 4,
    skipConstants: true,
  },
  kubernetes: {
    mutate: ['operator/src/plan/kubernetes/*.ts'],
    tests: ['operator/src/plan/kubernetes/*.test.ts'],
    oneIn: 8,
    skipConstants: true,
  },
  objective: {
    mutate: ['trainer/src/objective/*.ts'],
    tests: [
      'trainer/src/objective/*.test.ts',
      'trainer/src/model/costs.test.ts',
      'test/parity/objective-parity.test.ts',
    ],
    oneIn: 4,
  },
  checkpoint: {
    mutate: ['trainer/src/checkpoint/*.ts'],
    tests: ['trainer/src/checkpoint/*.test.ts', 'test/parity/exchange.test.ts'],
    oneIn: 4,
  },
};
