import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { below } from '@greedy-infomax/crds';
import { z } from 'zod';
import { formatPercent } from '../report/format.ts';
import { withoutSecrets } from './child-env.ts';
import { InterruptedError } from './interrupted.ts';
import { killWithParent } from './watchdog.ts';

/** The evaluation failed. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError';
}

const pair = { accuracy: z.number(), accuracyUntrained: z.number() };

const resultSchema = z.object({
  name: z.string(),
  ...pair,
  /** Accuracies by question, if there are several. */
  accuracies: z.record(z.string(), z.object(pair)).optional(),
});

const COMMAND: readonly string[] = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, '../../../trainer/src/evaluate/main.ts'),
];

/**
 * Trains the linear probes of the run in `out` in a separate process with all cores, which writes
 * OUT/evaluation.json. Then adds the result to OUT/evaluations.jsonl. `onLine` receives one line per evaluated
 * module. `pictures` also makes the pictures of the report. Throws an `EvaluationError`, or an `InterruptedError` when `signal` aborts.
 */
export async function evaluateRun(
  out: string,
  onLine: (line: string) => void,
  {
    signal,
    command = COMMAND,
    pictures = true,
  }: { signal?: AbortSignal; command?: readonly string[]; pictures?: boolean } = {},
): Promise<void> {
  const [program = process.execPath, ...args] = command;
  const child = spawn(program, [...args, '--out', out, ...(pictures ? ['--pictures'] : [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { TF_CPP_MIN_LOG_LEVEL: '2', ...withoutSecrets(process.env) },
    detached: true,
  });
  killWithParent(child);
  const abort = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  let complaints = '';
  child.stderr.on('data', (data: Buffer) => {
    complaints = (complaints + data.toString()).slice(-4000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => onLine(describe(line)));
  const end = await new Promise<string | number>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, by) => resolve(code ?? `killed by ${by}`));
  });
  signal?.removeEventListener('abort', abort);
  if (signal?.aborted) {
    throw new InterruptedError(
      `stopped before all modules were evaluated; training is done: gim evaluate ${out}`,
    );
  }
  if (end === 0) {
    const found = JSON.parse(readFileSync(join(out, 'evaluation.json'), 'utf8'));
    appendFileSync(below(out, 'evaluations.jsonl'), `${JSON.stringify(found)}\n`);
    return;
  }
  const why = reason(complaints) || end;
  throw new EvaluationError(
    `the evaluation of ${out} failed: ${why}; try again with \`gim evaluate ${out}\``,
  );
}

/** Returns the error line of a process's last output. Node adds the source location and its version. */
function reason(said: string): string | undefined {
  const lines = said.trim().split('\n');
  return lines.findLast((line) => /^(Uncaught )?\w*Error\b/.test(line)) ?? lines.at(-1);
}

function describe(line: string): string {
  try {
    const { name, accuracies, ...pair } = resultSchema.parse(JSON.parse(line));
    const found = Object.entries(accuracies ?? { 'linear probe': pair }).map(
      ([question, { accuracy, accuracyUntrained }]) =>
        `${question} ${formatPercent(accuracy)}, untrained ${formatPercent(accuracyUntrained)}`,
    );
    return `${name}: ${found.join('; ')}`;
  } catch {
    return line;
  }
}
