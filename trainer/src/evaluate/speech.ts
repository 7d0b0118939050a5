import { type ModuleConfig, PHONE_FRAME } from '@greedy-infomax/crds';
import { type EvaluationWindows, openEvaluationWindows } from '../data/speech-batches.ts';
import { encode } from '../model/encoder.ts';
import { normaliseSpeech } from '../module/input.ts';
import { Program } from '../step/program.ts';
import { type Tensor, type Tfjs, tf } from '../tf.ts';
import { EvaluationError } from './errors.ts';
import { prefixed, weightsOf } from './features.ts';
import type { LabelledFeatures } from './linear-probe.ts';
import type { ModelWeights, Question, Subject } from './subject.ts';

type SpeechSource = ModuleConfig['source'] & { kind: 'speech' };

/** Number of windows that the encoder processes at once. */
const BATCH = 8;

/**
 * Number of frames of a split for the linear probe of phones, evenly spread over all windows. They take 200 MB for
 * the paper's widest module, with 512 channels.
 */
const FRAMES = 100_000;

/**
 * Opens speech with the speaker of each window and, if there are labels, the phone of each 10 ms. The linear probe
 * of speakers uses a module's mean output over time; the probe of phones uses its output for each 10 ms. Throws an
 * `EvaluationError` if there are no labels, or a `DataError`.
 */
export async function openSpeechSubject({ data, window }: SpeechSource): Promise<Subject> {
  const open = (split: 'labelled' | 'test') => openEvaluationWindows(data, window, split);
  const splits = { labelled: await open('labelled'), test: await open('test') };
  const { speakers, phones } = splits.labelled;
  if (speakers === 0) {
    throw new EvaluationError(`the data set (${data.format}) has no speakers to evaluate with`);
  }
  const frames = window.samples / PHONE_FRAME;
  const most = Math.max(1, Math.floor(FRAMES / splits.labelled.length));
  const questions: Question[] = [{ name: 'speaker', classes: speakers, rows: 1 }];
  if (phones > 0) questions.push({ name: 'phone', classes: phones, rows: Math.min(frames, most) });
  return {
    questions,
    features: (modules, weights, split) =>
      extract(modules, weights, splits[split], { questions, frames, window }),
  };
}

async function extract(
  modules: readonly ModuleConfig[],
  weights: ModelWeights,
  split: EvaluationWindows,
  {
    questions,
    frames,
    window,
  }: { questions: readonly Question[]; frames: number; window: SpeechSource['window'] },
): Promise<Map<string, Map<string, LabelledFeatures>>> {
  const program = compileEncoder(modules, weights, frames, window);
  const kept = new Map(
    questions.map(({ name, rows }) => [name, new Rows(modules, split.length * rows)] as const),
  );
  const phoneRows = questions.find(({ name }) => name === 'phone')?.rows ?? 0;
  let number = 0;
  for await (const group of inGroups(split.windows(), BATCH)) {
    const pcm = new Int16Array(BATCH * window.samples); // zeros after a short last group are not read
    for (const [i, each] of group.entries()) pcm.set(each.pcm, i * window.samples);
    const outputs = program.run('features', { pcm: new Uint8Array(pcm.buffer) });
    for (const [i, { speaker, phones }] of group.entries()) {
      kept.get('speaker')?.add(speaker, (module) => rowOf(outputs[`${module}/mean`], i, BATCH));
      for (const frame of spread(phoneRows, frames, number)) {
        const phone = phones[frame] ?? -1;
        if (phone < 0) continue;
        kept
          .get('phone')
          ?.add(phone, (module) =>
            rowOf(outputs[`${module}/frames`], i * frames + frame, BATCH * frames),
          );
      }
      number += 1;
    }
  }
  program.dispose();
  return new Map([...kept].map(([name, rows]) => [name, rows.labelled()]));
}

/** Returns `count` evenly spaced frames of `frames`; their offset varies from window to window. */
const spread = (count: number, frames: number, window: number): number[] =>
  Array.from({ length: count }, (_, i) => {
    const first = count < frames ? (window * 7) % Math.floor(frames / count) : 0;
    return Math.floor((i * frames) / count) + first;
  });

/** Returns row `index` of an output of `rows` rows. */
function rowOf(output: ArrayLike<number> | undefined, index: number, rows: number): Float32Array {
  const values = output as Float32Array;
  const width = values.length / rows;
  return values.subarray(index * width, (index + 1) * width);
}

/** Features of all modules, with one label per row. */
class Rows {
  readonly #features: Map<string, Float32Array>;
  readonly #labels: Int32Array;
  #count = 0;

  constructor(modules: readonly ModuleConfig[], capacity: number) {
    this.#labels = new Int32Array(capacity);
    this.#features = new Map(
      modules.map(({ name, output }) => [name, new Float32Array(capacity * output[3])]),
    );
  }

  add(label: number, rowOfModule: (module: string) => Float32Array): void {
    for (const [module, features] of this.#features) {
      const row = rowOfModule(module);
      features.set(row, this.#count * row.length);
    }
    this.#labels[this.#count] = label;
    this.#count += 1;
  }

  labelled(): Map<string, LabelledFeatures> {
    const labels = this.#labels.subarray(0, this.#count);
    return new Map(
      [...this.#features].map(([module, features]) => {
        const width = features.length / this.#labels.length;
        return [module, { labels, features: features.subarray(0, this.#count * width) }];
      }),
    );
  }
}

/** Compiles the encoder: pcm [windows, samples, 2] to means [windows, channels] and frames [windows, frames, channels]. */
function compileEncoder(
  modules: readonly ModuleConfig[],
  weights: ModelWeights,
  frames: number,
  window: SpeechSource['window'],
) {
  const [first] = modules as [ModuleConfig];
  return Program.compile({
    weights: prefixed(modules, weights),
    optimizer: first.optimizer,
    functions: {
      features: {
        inputs: { pcm: { shape: [BATCH, window.samples, 2], dtype: 'uint8' } },
        build: ({ pcm }, all) => {
          let x = normaliseSpeech(pcm as Tensor, window);
          const outputs: Record<string, Tensor> = {};
          for (const module of modules) {
            x = encode(module.layers, weightsOf(module.name, all), x);
            const steps = tf.squeeze(x, [2]); // [windows, steps, channels]
            outputs[`${module.name}/mean`] = tf.mean(steps, 1);
            outputs[`${module.name}/frames`] = averaged(steps as Tfjs.Tensor3D, frames);
          }
          return outputs;
        },
      },
    },
  });
}

/** Averages [windows, steps, channels] to [windows, frames, channels], over the steps of each frame. */
export function averaged(x: Tfjs.Tensor3D, frames: number): Tensor {
  const steps = x.shape[1];
  const shares = new Float32Array(frames * steps);
  for (let frame = 0; frame < frames; frame += 1) {
    const from = Math.floor((frame * steps) / frames);
    const end = Math.ceil(((frame + 1) * steps) / frames);
    shares.fill(1 / (end - from), frame * steps + from, frame * steps + end);
  }
  const matrix = tf.tile(tf.tensor3d(shares, [1, frames, steps]), [x.shape[0], 1, 1]);
  return tf.matMul(matrix as Tfjs.Tensor3D, x);
}

async function* inGroups<T>(items: AsyncIterable<T>, size: number): AsyncIterable<T[]> {
  let group: T[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length === size) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}
