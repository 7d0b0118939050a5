import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  controlSchema,
  controlSubject,
  EXIT,
  encodeTrainerEnding,
  moduleConfigSchema,
  type Report,
  reportSubject,
} from '@greedy-infomax/crds';
import { connect } from '@nats-io/transport-node';
import { connectionOptions } from '../../operator/src/nats/connection.ts';

/**
 * A process that follows the trainer's protocol (arguments, reports, control, checkpoints, exit
 * codes, stdin) without training: it counts samples, one batch every 20 ms.
 * STAND_IN_EXIT=module:code makes that module exit with that code after five steps of an attempt,
 * without a checkpoint but after all other modules have one.
 */

const { values } = parseArgs({
  options: {
    config: { type: 'string', default: '' },
    out: { type: 'string', default: '' },
    nats: { type: 'string', default: '' },
    replica: { type: 'string', default: '0' },
  },
});
const { out } = values;
const config = moduleConfigSchema.parse(JSON.parse(readFileSync(values.config, 'utf8')));
const [exitModule, exitCode] = (process.env.STAND_IN_EXIT ?? '').split(':');

let stopped = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    stopped = true;
  });
}
process.stdin.on('end', () => {
  stopped = true;
});
process.stdin.resume();

const connection = await connect({
  ...connectionOptions({ url: values.nats, creds: process.env.NATS_CREDS }),
  reconnectTimeWait: 50,
});
let released = false;
/** Samples of the module's other replicas. */
let others = 0;
connection.subscribe(controlSubject({ ...config.run, uid: config.uid }), {
  callback: (error, message) => {
    if (error) return;
    const control = controlSchema.parse(JSON.parse(message.string()));
    released = control.released.includes(config.name);
    const { [values.replica]: _, ...rest } = control.modules?.[config.name]?.samples ?? {};
    others = Object.values(rest).reduce((sum, samples) => sum + samples, 0);
  },
});

mkdirSync(out, { recursive: true });
let step = newestStep();
let checkpointStep: number | null = step || null;
console.log(JSON.stringify({ msg: 'starting', pid: process.pid, step }));
report('starting');

for (let made = 1; !spent() && !stopped; made += 1) {
  await sleep(20);
  step += 1;
  if (config.name === exitModule && made >= 5 && othersHaveCheckpoints()) {
    await end(Number(exitCode), 'failed', 'made to fail');
  }
  if (step % 5 === 0 && config.name !== exitModule) checkpoint();
  report('training');
}
checkpoint();
if (!spent()) await end(EXIT.stopped, 'training');
report('forwarding');
while (!released && !stopped) {
  await sleep(20);
  report('forwarding');
}
leaveEnding();
await end(EXIT.ok, 'finished');

async function end(code: number, phase: Report['phase'], message?: string): Promise<void> {
  report(phase, message);
  console.log(JSON.stringify({ msg: message ?? phase, step }));
  await Promise.race([connection.flush(), sleep(200)]);
  process.exit(code);
}

/** Reports proof of completion. */
function leaveEnding(): void {
  const file = process.env.TERMINATION_LOG;
  if (file === undefined) return;
  const ending = {
    outcome: 'complete' as const,
    run: config.uid,
    module: config.name,
    replica: Number(values.replica),
    step,
    samples: step * config.batchSize + others,
    budget: config.budget,
    checkpoint: { step, file: checkpointFile(), sha256: '' },
  };
  writeFileSync(file, encodeTrainerEnding(ending));
}

function spent(): boolean {
  return step * config.batchSize + others >= config.budget;
}

function othersHaveCheckpoints(): boolean {
  const all = join(out, '..');
  const others = readdirSync(all).filter((name) => name !== config.name);
  return others.every((name) => checkpointsIn(join(all, name)).length > 0);
}

function checkpointsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
}

function newestStep(): number {
  return Number(/\d+/.exec(checkpointsIn(out).toSorted().at(-1) ?? '')?.[0] ?? 0);
}

function checkpointFile(): string {
  return `checkpoint-${`${step}`.padStart(9, '0')}.safetensors`;
}

function checkpoint(): void {
  writeFileSync(join(out, checkpointFile()), '');
  checkpointStep = step;
}

function report(phase: Report['phase'], message?: string): void {
  const content: Report = {
    run: config.uid,
    module: config.name,
    replica: Number(values.replica),
    phase,
    step: phase === 'starting' ? 0 : step,
    samplesTrained: phase === 'starting' ? 0 : step * config.batchSize,
    samplesTotal: config.budget,
    loss: 1,
    lossFirst: 2,
    samplesPerSecond: 50 * config.batchSize,
    stalenessSteps: null,
    stalenessSeconds: null,
    samplesDropped: 0,
    samplesReused: 0,
    checkpointStep,
    message,
    at: Date.now(),
  };
  connection.publish(
    reportSubject({ ...config.run, uid: config.uid }, config.name, Number(values.replica)),
    JSON.stringify(content),
  );
}
