import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import type { Reporter } from 'vitest/node';

/** Prints failures and one final summary line, for people and for programs that read logs. */
const summaryLine: Reporter = {
  onTestRunEnd(modules, errors) {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const broken = modules.filter((module) => module.errors().length > 0).length + errors.length;
    const skipped = count('skipped') + count('pending');
    const tail = skipped > 0 ? `, ${skipped} skipped` : '';
    for (const test of tests.filter((each) => each.result().state === 'failed')) {
      console.log(`failed: ${test.module.relativeModuleId} > ${test.fullName}`);
    }
    console.log(`${count('passed')} passed, ${count('failed') + broken} failed${tail}`);
  },
};

/** System tests: a Kubernetes cluster, the chart, images, runs, faults. */
const E2E = [
  'test/{chart,cluster,e2e,faults,images,nats-auth}/**/*.test.ts',
  '**/real-api-server.test.ts',
];
/** Folders whose tests start a server or load TensorFlow. */
const INTEGRATION = [
  'operator/src/{cli,controller,install-check,kube,local,nats,nats-keys}/**/*.test.ts',
  'operator/src/plan/sizing.test.ts',
  'trainer/src/**/*.test.ts',
  'test/parity/**/*.test.ts',
  'bench/{asynchrony,step}/**/*.test.ts',
];
const ALL = ['{crds,operator,trainer,test,bench,setup}/**/*.test.ts'];
const NEVER = ['**/node_modules/**'];

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ALL, exclude: [...NEVER, ...E2E, ...INTEGRATION] },
      },
      {
        extends: true,
        test: { name: 'integration', include: INTEGRATION, exclude: [...NEVER, ...E2E] },
      },
      { extends: true, test: { name: 'e2e', include: E2E, exclude: NEVER } },
    ],
    // libtensorflow keeps process-wide state: every file gets its own process.
    pool: 'forks',
    // Many tests wait for servers; two files at a time share two cores well.
    maxWorkers: Math.max(2, Math.floor(availableParallelism() / 2)),
    // Limits against hanging only, generous on slow machines: no test passes or fails by its speed.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 90_000 } },
    reporters: ['default', summaryLine],
  },
});
