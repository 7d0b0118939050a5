import { checkNatsUrl, printable, stringifyForKubectl } from '@greedy-infomax/crds';
import { Command } from 'commander';
import { type Rendering, renderRun } from '../plan/kubernetes/render.ts';
import { formatBytes, formatCount } from '../report/format.ts';
import { readRunFile } from './run-file.ts';

interface RenderOptions {
  namespace?: string;
  trainerImage: string;
  nats: string;
}

/** `gim render FILE` */
export const renderCommand = (): Command =>
  new Command('render')
    .description('Print what the operator would make for a run on Kubernetes, as YAML.')
    .argument('<file>', 'run file')
    .option('-n, --namespace <name>', 'namespace (default: the one in the file, else default)')
    .option(
      '--trainer-image <image>',
      'image of trainers whose run names none',
      process.env.TRAINER_IMAGE ?? 'greedy-infomax/trainer:0.1.0',
    )
    .option(
      '--nats <url>',
      'NATS server that the trainers use',
      'nats://greedy-infomax-nats.greedy-infomax.svc:4222',
    )
    .action((file: string, { namespace, trainerImage, nats }: RenderOptions) => {
      const run = readRunFile(file);
      // Rendering creates no objects, so the cluster's operator decides about access to nodes.
      const options = { trainerImage, natsUrl: checkNatsUrl(nats), allowHostAccess: true };
      const rendering = renderRun(run, namespace ?? run.metadata.namespace ?? 'default', options);
      const text = renderingText(file, rendering);
      process.stdout.write(process.stdout.isTTY ? printable(text) : text);
    });

/** Renders streams as comments, because they are not Kubernetes objects. */
function renderingText(file: string, { objects, streams }: Rendering): string {
  const documents = objects.map(stringifyForKubectl);
  const made = streams.map((stream) => {
    if ('bucket' in stream) return `#   ${stream.name}: checkpoints, in files\n`;
    const room = `#   ${stream.name}: ${formatBytes(stream.maxBytes)}`;
    if (!('consumer' in stream)) return `${room}, the last message of each subject\n`;
    const { maxMessages, whenFull, consumer } = stream;
    return `${room} or ${formatCount(maxMessages)} messages, ${whenFull}; consumer ${consumer.name}\n`;
  });
  return [
    `# What the operator makes for ${file}. Its own objects are owned by the run, and the names of its ConfigMaps\n`,
    `# end otherwise, as they depend on the uid that the API server gives to the run.\n`,
    `# JetStream streams, in memory where nothing else is said:${streams.length === 0 ? ' none' : ''}\n`,
    ...made,
    ...documents.map((text) => `---\n${text}`),
  ].join('');
}
