import type { ModuleConfig } from '@greedy-infomax/crds';
import sharp from 'sharp';
import { openEvaluationImages } from '../data/batches.ts';
import { encode, pool } from '../model/encoder.ts';
import { cutPatches } from '../module/input.ts';
import { size } from '../step/function.ts';
import { Program } from '../step/program.ts';
import type { Tensor } from '../tf.ts';
import { type ImageSource, prefixed, weightsOf } from './features.ts';
import { type Found, Strongest } from './strongest.ts';
import type { ModelWeights } from './subject.ts';

/** Draws the patches that activate units of a module most, one picture per module: figure 3 of the paper. */

export interface PatchPicture {
  /** One row per unit, strongest patch first. */
  png: Buffer;
  units: number[];
}

interface Choice {
  units: number;
  patches: number;
  /** Number of test images that are searched. */
  images: number;
}

export const PATCH_CHOICE: Choice = { units: 6, patches: 10, images: 1000 };

/** Number of images that the encoder processes at once. */
const BATCH = 50;
/** Minimum width of a patch in the picture, and the gap between patches, in pixels. */
const SHOWN = 32;
const GAP = 2;
/** Grey of the gap: patches have black and white edges. */
const BETWEEN = 128;

/**
 * Returns, by module, a picture of the test patches with the highest mean output of a unit. Each unit has at most one patch
 * per image, because neighbouring patches overlap. Chooses the most selective units.
 */
export async function excitingPatches(
  modules: readonly ModuleConfig[],
  weights: ModelWeights,
  choice: Choice = PATCH_CHOICE,
): Promise<Map<string, PatchPicture>> {
  const [first] = modules;
  if (first?.source.kind !== 'data') throw new TypeError('only images are cut into patches');
  const { source } = first;
  const program = compile(modules, weights, source);
  const strongest = new Map(
    modules.map(({ name, output }) => [name, new Strongest(output[3], choice.patches)] as const),
  );
  let number = 0;
  for await (const pixels of batches(source, choice.images)) {
    const bytes = new Uint8Array(program.pixels);
    bytes.set(pixels);
    const outputs = program.run('pooled', { pixels: bytes });
    const count = pixels.length / (program.pixels / BATCH);
    for (const { name } of modules) {
      const values = outputs[name] as Float32Array;
      const each = values.length / BATCH;
      for (let i = 0; i < count; i += 1) {
        strongest.get(name)?.add(number + i, values.subarray(i * each, (i + 1) * each));
      }
    }
    number += count;
  }
  program.dispose();
  const chosen = new Map(
    [...strongest].map(([name, found]) => [name, found.mostSelective(choice.units)] as const),
  );
  const images = await imagesOf(source, first.input[3], choice.images, [...chosen.values()].flat());
  const pictures = new Map<string, PatchPicture>();
  for (const [name, units] of chosen) {
    const png = await draw(units, images, source, first);
    pictures.set(name, { png, units: units.map(({ unit }) => unit) });
  }
  return pictures;
}

async function* batches({ data, augmentation }: ImageSource, most: number) {
  const set = await openEvaluationImages({ data, augmentation, split: 'test', batchSize: BATCH });
  let number = 0;
  for await (const { pixels } of set.batches()) {
    yield pixels;
    number += BATCH;
    if (number >= most) return;
  }
}

/** Compiles the encoder: bytes [images, rows, cols, channels] to [images, patches, channels] of every module. */
function compile(modules: readonly ModuleConfig[], weights: ModelWeights, source: ImageSource) {
  const [first] = modules as [ModuleConfig];
  const { crop } = source.augmentation;
  const shape = [BATCH, crop, crop, first.input[3]];
  const program = Program.compile({
    weights: prefixed(modules, weights),
    optimizer: first.optimizer,
    functions: {
      pooled: {
        inputs: { pixels: { shape, dtype: 'uint8' } },
        build: ({ pixels }, all) => {
          let x = cutPatches(pixels as Tensor, source);
          const outputs: Record<string, Tensor> = {};
          for (const { name, layers, grid } of modules) {
            x = encode(layers, weightsOf(name, all), x);
            outputs[name] = pool(x, grid ?? [1, first.input[0]]);
          }
          return outputs;
        },
      },
    },
  });
  return Object.assign(program, { pixels: size(shape) });
}

/** Returns the bytes of the images in the picture, by their index. */
async function imagesOf(
  source: ImageSource,
  channels: number,
  most: number,
  units: readonly Found[],
) {
  const wanted = new Set(units.flatMap(({ places }) => places.map(({ image }) => image)));
  const images = new Map<number, Uint8Array>();
  const size = source.augmentation.crop ** 2 * channels;
  let number = 0;
  for await (const pixels of batches(source, most)) {
    for (let at = 0; at < pixels.length; at += size) {
      if (wanted.has(number)) images.set(number, pixels.slice(at, at + size));
      number += 1;
    }
  }
  return images;
}

/** Draws rows of patches as PNG, one row per unit. */
async function draw(
  units: readonly Found[],
  images: ReadonlyMap<number, Uint8Array>,
  { augmentation: { crop }, patches: { size } }: ImageSource,
  { grid, input }: ModuleConfig,
): Promise<Buffer> {
  const channels = input[3];
  const scale = Math.max(1, Math.ceil(SHOWN / size));
  const cell = size * scale + GAP;
  const columns = Math.max(...units.map(({ places }) => places.length));
  const [width, height] = [columns * cell - GAP, units.length * cell - GAP];
  const canvas = new Uint8Array(width * height * 3).fill(BETWEEN);
  const cols = grid?.[1] ?? 1;
  const stride = cols > 1 ? (crop - size) / (cols - 1) : 0;
  for (const [row, { places }] of units.entries()) {
    for (const [column, { image, patch }] of places.entries()) {
      const pixels = images.get(image) as Uint8Array;
      const top = Math.floor(patch / cols) * stride;
      const left = (patch % cols) * stride;
      for (let y = 0; y < size * scale; y += 1) {
        for (let x = 0; x < size * scale; x += 1) {
          const from = (top + Math.floor(y / scale)) * crop + left + Math.floor(x / scale);
          const to = (row * cell + y) * width + column * cell + x;
          for (let c = 0; c < 3; c += 1) {
            canvas[3 * to + c] = pixels[from * channels + (channels === 3 ? c : 0)] as number;
          }
        }
      }
    }
  }
  return sharp(canvas, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
