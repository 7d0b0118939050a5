import { CheckpointStore } from '../store.ts';

/** Saves checkpoints in the folder of its first argument until a test kills it. */
const store = new CheckpointStore(process.argv[2] as string, { keep: 2, configHash: 'same' });
const { checkpoint } = await store.loadNewest();
for (let step = (checkpoint?.step ?? 0) + 1; ; step += 1) {
  await store.save({
    step,
    samples: step * 32,
    tensors: {
      weight: { dtype: 'F32', shape: [50_000], data: new Float32Array(50_000).fill(step) },
    },
    state: { at: `${step}` },
  });
  process.stdout.write(`${step}\n`);
}
