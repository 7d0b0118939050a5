import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{crds,operator,trainer,test,bench,setup}/**/*.test.ts'],
    // libtensorflow keeps process-wide state: every file gets a process of its own.
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
