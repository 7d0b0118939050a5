import { convDefaults, type Layer, type ModuleConfig, SAMPLE_RATE } from '@greedy-infomax/crds';
import { formatCount } from './format.ts';

/** Describes a run by the resolved configuration of its modules. */

/** Returns the settings that the modules share, as pairs of name and value. */
export function runSettings(first: ModuleConfig): [name: string, value: string][] {
  const { source, optimizer, evaluation, checkpoints } = first;
  return [
    ...(source.kind === 'data' ? dataSettings(source) : []),
    ...(source.kind === 'speech' ? speechSettings(source) : []),
    ...(first.grid ? gridSettings(first.grid) : []),
    [
      'optimizer',
      `${optimizer.type}, learning rate ${optimizer.learningRate}, betas ${optimizer.beta1} and ${optimizer.beta2}`,
    ],
    ['samples a step', formatCount(first.batchSize)],
    ['budget of a module', `${formatCount(first.budget)} samples`],
    ['buffer between modules', first.sink ? describeEdge(first.sink) : 'none: a single module'],
    ['checkpoints', `every ${checkpoints.everySeconds} s, the last ${checkpoints.keep} kept`],
    [
      'linear probe',
      `${evaluation.epochs} epochs, ${evaluation.batchSize} samples a step, learning rate ${evaluation.learningRate}`,
    ],
    ['seed', String(first.seed)],
  ];
}

/** Returns the titles and cells of the table of modules. */
export const moduleSettings = (modules: readonly ModuleConfig[]) => ({
  titles: ['module', 'patch in', 'patch out', 'layers', 'objective'],
  rows: modules.map((module) => [
    module.name,
    module.input.slice(1).join(' × '),
    module.output.slice(1).join(' × '),
    module.layers.map(describeLayer).join(' · '),
    describeObjective(module.objective),
  ]),
});

function dataSettings({
  data,
  augmentation,
  patches,
}: ModuleConfig['source'] & { kind: 'data' }): [string, string][] {
  const changes = [
    augmentation.pad > 0 ? `padded by ${augmentation.pad}` : '',
    `cropped to ${augmentation.crop} × ${augmentation.crop}`,
    augmentation.flip ? 'half of them mirrored' : '',
    augmentation.grayscale ? 'in gray' : '',
    augmentation.normalize ? 'normalised' : '',
  ];
  return [
    ['data', data.path === undefined ? data.format : `${data.format} from ${data.path}`],
    ['images', changes.filter(Boolean).join(', ')],
    ['patch', `${patches.size} × ${patches.size}, every ${patches.stride} pixels`],
  ];
}

const gridSettings = ([rows, cols]: readonly [number, number]): [string, string][] => [
  ['patches of an image', `${rows} × ${cols}`],
];

const speechSettings = ({
  data,
  window,
}: ModuleConfig['source'] & { kind: 'speech' }): [string, string][] => [
  ['data', `${data.format} from ${data.path}`],
  ['window', `${formatCount(window.samples)} samples, ${window.samples / SAMPLE_RATE} s`],
];

function describeEdge({ depth, encoding, whenFull, maxReuse }: NonNullable<ModuleConfig['sink']>) {
  const full = whenFull === 'block' ? 'the producer waits when full' : 'drops the oldest when full';
  const reuse = maxReuse === 0 ? 'no sample used twice' : `each reused up to ${maxReuse} times`;
  return `${formatCount(depth)} samples in ${encoding}, ${full}, ${reuse}`;
}

function describeObjective({ type, ...settings }: ModuleConfig['objective']): string {
  const told = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return [type, ...told].join(', ');
}

function describeLayer(layer: Layer): string {
  const { type, channels, stride = 1, repeat = 1, bptt = true } = layer;
  const step = stride === 1 ? '' : ` / ${stride}`;
  if (type === 'gru') return `gru ${channels}${bptt ? '' : ' without propagation through time'}`;
  if (type !== 'conv' && type !== 'conv1d') {
    return `${repeat > 1 ? `${repeat} × ` : ''}${type} ${channels}${step}`;
  }
  const { kernel, activation } = convDefaults(layer);
  const after = activation === 'none' ? '' : ` ${activation}`;
  return `${type} ${type === 'conv' ? `${kernel}×${kernel}` : kernel} ${channels}${step}${after}`;
}
