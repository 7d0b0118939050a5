import {
  type Buffers,
  type Edge,
  edgeConsumer,
  edgeStream,
  edgeSubject,
  encodedBytes,
  LAYERS,
  type Module,
  type PatchShape,
  type RunKey,
} from '@greedy-infomax/crds';

/** What the modules on both sides of an edge know of it. `shape` is that of a patch behind the producer. */
export function planEdge(
  run: RunKey,
  producer: string,
  consumer: Module,
  { depth, encoding, maxReuse, whenFull }: Buffers,
  patches: number,
  shape: PatchShape,
): Edge {
  const [first] = consumer.layers;
  return {
    stream: edgeStream(run, producer),
    subject: edgeSubject(run, producer),
    consumer: edgeConsumer(consumer.name),
    encoding,
    rectified: first !== undefined && LAYERS[first.type].readsRectified(first, shape[2]),
    shape: [patches, ...shape],
    sampleBytes: encodedBytes(encoding, patches, shape),
    depth,
    whenFull,
    maxReuse,
  };
}
