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
  type RunId,
} from '@greedy-infomax/crds';

/** What the modules on both sides of an edge know of it. `shape` is that of a patch behind the producer. */
export function planEdge(
  run: RunId,
  producer: Module,
  consumer: Module,
  { depth, encoding, maxReuse, reuse, whenFull }: Buffers,
  patches: number,
  shape: PatchShape,
): Edge {
  const [first] = consumer.layers;
  return {
    stream: edgeStream(run, producer.name),
    subject: edgeSubject(run, producer.name),
    consumer: edgeConsumer(consumer.name),
    encoding,
    // Without a loss where nobody reads what relu takes away, or where there is nothing to take.
    rectified:
      producer.layers.at(-1)?.activation === 'relu' ||
      (first !== undefined && LAYERS[first.type].readsRectified(first, shape[2])),
    shape: [patches, ...shape],
    sampleBytes: encodedBytes(encoding, patches, shape),
    depth,
    whenFull,
    maxReuse,
    ...(reuse === 'always' && { stores: true }),
  };
}
