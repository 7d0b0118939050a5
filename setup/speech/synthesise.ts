import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { decodeWav } from '../../trainer/src/data/wav-file.ts';
import { encodeWave, phoneFrames, resample, scaleTimes, sentence } from './speech.ts';

/**
 * Creates a speech data set in the layout of `data.format: wav`, identical on every machine: `node
 * setup/speech/synthesise.ts --flite PROGRAM --out FOLDER`. A speaker is a Flite voice played
 * faster or slower, which shifts pitch and formants; phones come from Flite's own timing.
 */

const VOICES = ['awb', 'kal16', 'rms', 'slt'];
const PITCHES = [0.84, 0.94, 1.06, 1.19];
const UTTERANCES = { train: 40, test: 10 };

const { flite = 'flite', out = 'speech' } = parseArgs({
  options: { flite: { type: 'string' }, out: { type: 'string' } },
}).values;
const run = promisify(execFile);

const speakers = VOICES.flatMap((voice) => PITCHES.map((pitch) => ({ voice, pitch })));
const tasks = speakers.flatMap(({ voice, pitch }, speaker) =>
  Object.entries(UTTERANCES).flatMap(([split, count]) =>
    Array.from({ length: count }, (_, i) => ({
      voice,
      pitch,
      // No sentence is repeated: a model that only memorizes must fail.
      number: speaker * 1000 + (split === 'test' ? 500 : 0) + i,
      folder: join(out, split, `${voice}-${Math.round(pitch * 100)}`),
      name: String(i).padStart(3, '0'),
    })),
  ),
);

await Promise.all(Array.from({ length: availableParallelism() }, work));

async function work(): Promise<void> {
  for (let task = tasks.pop(); task; task = tasks.pop()) await speak(task);
}

async function speak({
  voice,
  pitch,
  number,
  folder,
  name,
}: (typeof tasks)[number]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.wav`);
  const raw = join(folder, `${name}.raw`);
  // Slows speech down by the factor of the later speed-up, so that the tempo stays.
  const { stdout } = await run(flite, [
    ...['-voice', voice, '--setf', `duration_stretch=${pitch}`],
    ...['-t', sentence(number), '-psdur', '-o', raw],
  ]);
  const pcm = resample(decodeWav(readFileSync(raw), raw), pitch);
  rmSync(raw);
  writeFileSync(file, encodeWave(pcm));
  const phones = phoneFrames(scaleTimes(stdout, pitch), pcm.length);
  writeFileSync(join(folder, `${name}.phones`), `${phones.join(' ')}\n`);
}
