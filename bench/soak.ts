import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { summarySchema } from '../operator/src/report/summary.ts';
import { randomOf } from '../test/faults/random.ts';
import { type GimProcess, natsPid, startGim, TINY, trainerPids } from '../test/support/gim.ts';
import { freePort } from '../test/support/nats.ts';
import { machine } from './machine.ts';
import { strike } from './soak/faults.ts';
import { childrenOf, lookAtStreams, type Streams, sampleProcesses } from './soak/look.ts';
import { soakPage } from './soak/page.ts';
import { runRecordSamples } from './soak/progress.ts';
import { complaintsOf, livesOf, type Sample } from './soak/verdict.ts';

/**
 * Trains for SOAK_MINUTES (30) on this machine with a fault every 20 s, and fails when anything
 * grows or is left over, or when the run does not complete afterwards. SOAK_SEED selects the
 * faults. Writes docs/soak.md.
 */

const ROOT = join(import.meta.dirname, '..');
const FAULT_EVERY = 20;
const SAMPLE_EVERY = 5;
/** More samples than any soak can train on. */
const ENDLESS = 1_000_000_000;
/** One trainer per module, NATS, and a watchdog for each of them. */
const CHILDREN = 8;

const minutes = Number(process.env.SOAK_MINUTES ?? 30);
const seed = Number(process.env.SOAK_SEED ?? 1);
if (!(minutes > 0))
  throw new RangeError(
    `SOAK_MINUTES is ${process.env.SOAK_MINUTES}; it must be a number such as 30`,
  );

const folder = join(ROOT, 'runs/soak');
const out = join(folder, 'out');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const port = String(await freePort());
const natsUrl = `nats://127.0.0.1:${port}`;
const random = randomOf(seed);
const complaints: string[] = [];
const samples: Sample[] = [];
const faults: Record<string, number> = {};

let run = start(ENDLESS);
const startedAt = performance.now();
const elapsed = () => (performance.now() - startedAt) / 1000;
const undisturbed = await steady();
console.log(`steady: ${JSON.stringify(undisturbed)}, a fault every ${FAULT_EVERY} s from now on`);

let faultAt = elapsed() + FAULT_EVERY;
let lineAt = elapsed() + 60;
while (elapsed() < 60 * minutes) {
  await sleep(1000 * SAMPLE_EVERY);
  if (run.child.exitCode !== null) throw new Error(`the run has ended:\n${run.output()}`);
  samples.push(...sampleProcesses(out, run.child.pid as number, elapsed()));
  if (elapsed() >= faultAt) {
    const what = await strike({ out, natsUrl, random });
    faults[what] = (faults[what] ?? 0) + 1;
    faultAt += FAULT_EVERY;
  }
  if (elapsed() >= lineAt) {
    console.log(`${(elapsed() / 60).toFixed(1)} min: ${describe()}`);
    lineAt += 60;
  }
}

compare('at the end', await steady());
run.child.kill('SIGINT');
await run.exited;
const trained = runRecordSamples(out);
const budget = Math.ceil((Math.max(...trained) + 4000) / 16) * 16;
run = start(budget, '--resume');
const code = await run.exited;
if (code !== 0) complaints.push(`the run did not complete: ${run.output()}`);
else {
  const { modules } = summarySchema.parse(
    JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')),
  );
  for (const { name, samplesTrained } of modules) {
    if (samplesTrained < budget)
      complaints.push(`${name} trained on ${samplesTrained} of ${budget}`);
  }
}
if (trainerPids(out).size > 0 || natsPid(out) !== undefined)
  complaints.push('processes are left over');

const lives = livesOf(samples);
complaints.push(...complaintsOf(lives));
const day = new Date().toISOString().slice(0, 10);
writeFileSync(
  join(ROOT, 'docs/soak.md'),
  soakPage({
    minutes,
    seed,
    faultEverySeconds: FAULT_EVERY,
    faults,
    lives,
    complaints,
    samples: Math.min(...trained),
    day,
    machine: machine(),
  }),
);
console.log(complaints.length === 0 ? 'passed' : `failed:\n${complaints.join('\n')}`);
process.exit(complaints.length === 0 ? 0 : 1);

function start(samplesToTrain: number, ...more: string[]): GimProcess {
  const file = join(folder, 'run.yaml');
  // With buffers that block, all modules have the same progress when the faults are over and end
  // soon after.
  const text = TINY.replace('depth: 64', 'depth: 64\n    whenFull: block');
  writeFileSync(file, text.replace('samples: 8000', `samples: ${samplesToTrain}`));
  return startGim('run', file, '--out', out, '--no-evaluate', '--nats-port', port, ...more);
}

interface State extends Streams {
  children: number;
}

/** Returns the processes once all have started; waits for up to a minute. */
async function steady(): Promise<State> {
  const end = elapsed() + 60;
  let state: State = { streams: 0, consumers: 0, children: 0 };
  while (elapsed() < end) {
    await sleep(1000);
    const found = await lookAtStreams(natsUrl, out);
    state = { streams: 0, consumers: 0, ...found, children: childrenOf(run.child.pid as number) };
    if (state.streams === 3 && state.consumers === 2 && state.children === CHILDREN) return state;
  }
  return state;
}

function compare(when: string, state: State): void {
  for (const key of ['streams', 'consumers', 'children'] as const) {
    if (state[key] === undisturbed[key]) continue;
    complaints.push(`${when} there were ${state[key]} ${key}; there should be ${undisturbed[key]}`);
  }
}

function describe(): string {
  const newest = new Map(samples.map((sample) => [sample.role, sample]));
  const memory = [...newest.values()].map(
    ({ role, rssMiB, fds }) => `${role} ${rssMiB.toFixed(0)} MiB ${fds} fds`,
  );
  const count = Object.values(faults).reduce((sum, times) => sum + times, 0);
  return `${count} faults; ${memory.join(', ')}; ${childrenOf(run.child.pid as number)} processes`;
}
