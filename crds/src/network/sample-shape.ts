import type { Augmentation, Data, Domain, Patches, Window } from '../v1alpha1/run.ts';
import { gridSize, imageChannels } from './images.ts';
import type { PatchShape } from './layers.ts';

/** Shapes of samples: an image is a grid of patches, a window of speech is one long patch. */

export const SPEECH = ['librispeech', 'wav'] as const satisfies readonly Data['format'][];
export type SpeechFormat = (typeof SPEECH)[number];

export const isSpeech = (format: Data['format']): format is SpeechFormat =>
  (SPEECH as readonly string[]).includes(format);

export const domainOf = ({ format }: Data): Domain => (isSpeech(format) ? 'speech' : 'images');

/** Source of the samples of the first module. */
export type SampleSource =
  | { kind: 'data'; data: Data; augmentation: Augmentation; patches: Patches }
  | { kind: 'speech'; data: Data; window: Window };

export interface Samples {
  source: SampleSource;
  /** Rows and columns of the grid of patches; null for a sequence, whose steps are the grid. */
  grid: [rows: number, cols: number] | null;
  /** Number of patches of a sample. */
  patches: number;
  /** Shape of a patch at the input of the first layer. Rows of a sequence are its time steps. */
  shape: PatchShape;
}

/** Returns the samples of a spec, or undefined if it lacks a field that its format needs. */
export function samplesOf(spec: {
  data?: Data;
  augmentation?: Augmentation;
  patches?: Patches;
  window?: Window;
}): Samples | undefined {
  const { data, augmentation, patches, window } = spec;
  if (data === undefined) return undefined;
  if (domainOf(data) === 'speech') {
    if (!window) return undefined;
    const source = { kind: 'speech', data, window } as const;
    return { source, grid: null, patches: 1, shape: [window.samples, 1, 1] };
  }
  if (!augmentation || !patches) return undefined;
  const rows = gridSize(augmentation, patches);
  return {
    source: { kind: 'data', data, augmentation, patches },
    grid: [rows, rows],
    patches: rows * rows,
    shape: [patches.size, patches.size, imageChannels(data, augmentation)],
  };
}
