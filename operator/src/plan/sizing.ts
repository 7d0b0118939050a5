import {
  chunksPerSample,
  type Edge,
  type Encoding,
  FRAME_HEADER_BYTES,
  layersCost,
  type ModuleConfig,
  objectiveParameters,
  outputShape,
  type PatchShape,
  SAMPLE_HEADER_BYTES,
  samplesPerMessage,
  targetLayers,
} from '@greedy-infomax/crds';
import type { RunPlan } from './run.ts';
import type { StreamPlan } from './stream.ts';

/** Costs of a run, computed from its plan before anything starts. */

export interface ModuleSize {
  name: string;
  /** Parameters of the encoder. */
  parameters: number;
  /** Parameters of the objective, not needed after training. */
  objectiveParameters: number;
  /** Multiplications, each with an addition, of the encoder forward; a training step takes about three times as many. */
  macsPerSample: number;
  /** One checkpoint: weights and Adam's two moments. */
  checkpointBytes: number;
  /** patches, rows, cols, channels behind the last layer. */
  output: readonly number[];
}

export interface EdgeSize {
  from: string;
  to: string;
  /** patches, rows, cols, channels of a sample. */
  shape: readonly number[];
  encoding: Encoding;
  /** Encoded, without headers. */
  sampleBytes: number;
  /** Below 1 when a message holds several samples. */
  messagesPerSample: number;
  /** Samples that the buffer holds. */
  depth: number;
  /** The `max_bytes` of its stream. */
  bufferBytes: number;
  /** At the rate that was asked about; null without one. */
  bytesPerSecond: number | null;
}

export interface Sizing {
  modules: ModuleSize[];
  edges: EdgeSize[];
  totals: {
    parameters: number;
    objectiveParameters: number;
    macsPerSample: number;
    /** Bytes of all checkpoints, `checkpoints.keep` of each module. */
    checkpointBytes: number;
  };
  nats: {
    bufferBytes: number;
    /** Memory that the server needs. */
    memoryBytes: number;
    /** Bytes that one sample sends through the server on its way through all modules. */
    bytesPerSample: number;
    bytesPerSecond: number | null;
  };
  warnings: string[];
}

const FLOAT_BYTES = 4;
/** A weight and its two moments. */
const CHECKPOINT_FLOATS = 3;

/** A server that holds its streams full was seen to take up to 1.7 times their bytes. */
const MEMORY_FACTOR = 2;
const MEMORY_BASE_BYTES = 0.5 * 1024 ** 3;

/**
 * Bytes a second that one nats-server with two cores takes in and gives out. Measured on nats-server 2.15.1
 * with streams in memory and messages of 1 MiB: 1.2 to 2.2 CPU seconds a GB.
 */
export const SERVER_BYTES_PER_SECOND = 1e9;
/**
 * Bytes a second that the receiving thread of a trainer takes in. Measured with Node 24: 1.0 to 1.4 CPU seconds a
 * GB.
 */
export const CONSUMER_BYTES_PER_SECOND = 0.7e9;
/** A message says the bytes of a sample in 32 bits. */
const MAX_SAMPLE_BYTES = 2 ** 32 - 1;

/** `samplesPerSecond`: the rate at which module 0 is expected to train. */
export function sizeRun({ modules, streams }: RunPlan, samplesPerSecond?: number): Sizing {
  const sizes = modules.map(moduleSize);
  const edges = streams.map((stream, i) =>
    edgeSize(modules[i] as ModuleConfig, modules[i + 1] as ModuleConfig, stream, samplesPerSecond),
  );
  const bufferBytes = sum(edges, (edge) => edge.bufferBytes);
  const bytesPerSample = sum(streams, ({ sampleBytes }) => wireBytes(sampleBytes));
  const nats = {
    bufferBytes,
    memoryBytes: Math.ceil(MEMORY_FACTOR * bufferBytes + MEMORY_BASE_BYTES),
    bytesPerSample,
    bytesPerSecond: samplesPerSecond === undefined ? null : samplesPerSecond * bytesPerSample,
  };
  return {
    modules: sizes,
    edges,
    totals: {
      parameters: sum(sizes, ({ parameters }) => parameters),
      objectiveParameters: sum(sizes, ({ objectiveParameters }) => objectiveParameters),
      macsPerSample: sum(sizes, ({ macsPerSample }) => macsPerSample),
      checkpointBytes: sum(
        sizes,
        ({ checkpointBytes }, i) => checkpointBytes * (modules[i]?.checkpoints.keep ?? 1),
      ),
    },
    nats,
    warnings: warningsOf(edges, nats.bytesPerSecond),
  };
}

/** Returns the bytes of the weights that a module trains, the objective's included. */
export const weightBytes = (module: ModuleConfig): number =>
  moduleSize(module).checkpointBytes / CHECKPOINT_FLOATS;

function moduleSize({ name, layers, objective, input, output }: ModuleConfig): ModuleSize {
  const [patches, ...patch] = input;
  const { parameters, macs } = layersCost(layers, patch as PatchShape);
  const [, , targetChannels] = outputShape(targetLayers(layers), patch as PatchShape);
  const own = objectiveParameters(objective, output[3], targetChannels);
  return {
    name,
    parameters,
    objectiveParameters: own,
    macsPerSample: patches * macs,
    checkpointBytes: FLOAT_BYTES * CHECKPOINT_FLOATS * (parameters + own),
    output,
  };
}

function edgeSize(
  from: ModuleConfig,
  to: ModuleConfig,
  { sampleBytes, depth, maxBytes }: StreamPlan,
  samplesPerSecond: number | undefined,
): EdgeSize {
  const { shape, encoding } = from.sink as Edge;
  const fit = Math.min(samplesPerMessage(sampleBytes), from.batchSize);
  return {
    from: from.name,
    to: to.name,
    shape,
    encoding,
    sampleBytes,
    messagesPerSample: fit === 0 ? chunksPerSample(sampleBytes) : 1 / fit,
    depth,
    bufferBytes: maxBytes,
    bytesPerSecond:
      samplesPerSecond === undefined ? null : samplesPerSecond * wireBytes(sampleBytes),
  };
}

/** A sample with all headers that it needs if it travels alone. */
const wireBytes = (sampleBytes: number): number =>
  sampleBytes + chunksPerSample(sampleBytes) * (FRAME_HEADER_BYTES + SAMPLE_HEADER_BYTES);

/** The encoding to propose where one sends too many bytes. */
const FEWER_BYTES: Partial<Record<Encoding, Encoding>> = {
  float32: 'int8',
  bfloat16: 'int8',
  int8: 'int4',
};

function warningsOf(edges: readonly EdgeSize[], total: number | null): string[] {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toPrecision(2)} GB/s`;
  const tooLarge = edges
    .filter(({ sampleBytes }) => sampleBytes > MAX_SAMPLE_BYTES)
    .map(
      ({ from, sampleBytes }) =>
        `a sample behind ${from} has ${sampleBytes} bytes; at most ${MAX_SAMPLE_BYTES} can be sent: use fewer channels, larger strides or the encoding int8 or int4`,
    );
  const proposal = (encoding: Encoding) => {
    const fewer = FEWER_BYTES[encoding];
    return fewer ? `: the encoding ${fewer} sends fewer bytes` : '';
  };
  const tooFast = edges.flatMap(({ from, to, encoding, bytesPerSecond }) =>
    bytesPerSecond !== null && bytesPerSecond > CONSUMER_BYTES_PER_SECOND
      ? [
          `${to} would have to take ${gigabytes(bytesPerSecond)} from ${from}; a trainer takes about ${gigabytes(CONSUMER_BYTES_PER_SECOND)} (measured) and skips the rest${proposal(encoding)}`,
        ]
      : [],
  );
  const overloaded =
    total !== null && total > SERVER_BYTES_PER_SECOND
      ? [
          `the buffers carry ${gigabytes(total)}; one NATS server with two cores carries about ${gigabytes(SERVER_BYTES_PER_SECOND)} (measured): give it more cores and a faster network, or make NATS a cluster, whose servers share the streams`,
        ]
      : [];
  return [...tooLarge, ...tooFast, ...overloaded];
}

const sum = <T>(items: readonly T[], of: (item: T, index: number) => number): number =>
  items.reduce((total, item, i) => total + of(item, i), 0);
