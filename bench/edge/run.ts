import { parseArgs } from 'node:util';
import pino from 'pino';
import { makeSharedFolder } from '../../operator/src/local/shared-memory.ts';
import { alternate, median, medianRatio } from '../alternate.ts';
import { machine, versionOf } from '../machine.ts';
import { markdown, record, type Table } from '../results.ts';
import { codecTable } from './codec.ts';
import { startBenchNats } from './server.ts';
import { blockedTurn, edgeOf, type Format, type Measured, turn } from './turn.ts';

/**
 * Transfers samples of 8 MiB of float32 between processes through a NATS server: by the trainers'
 * edge, by a plain client loop with messages of the same size, and by raw TCP, alternating: `node
 * bench/edge/run.ts [--only FORMAT,…] [--rounds N] [--seconds S] [--block S] [--record]`.
 */

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'int8,bfloat16,float32' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    block: { type: 'string', default: '30' },
    record: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const formats = values.only.split(',') as Format[];

const NOTES = [
  'zstd spares processors only where the bytes that it takes away, times the seconds of all three processes for a GB, are more than it takes to compress and decompress. Else it pays only where the link is slower than one core compresses.',
  'What helped: the client is handed whole messages, and writes them from where they lie (decision 11); a message holds activations alone and says in its headers what they are, so that none is copied to send it (decision 4); a large message is read into memory of its own, which the next one gets once its samples have left, so that nothing is there for the garbage collector and no new memory to clear; chunks that are copied once, by memmove, and only when their batch is made up; and edge threads that load no schemas and not Node’s compiler of TypeScript (decision 1).',
  'The edge with block has the messages of one sample on their way at a time, here two to nine, so that samples stay in order and nothing is lost; the bare loop has eight. The bare loop uses the client as most do, and leaves its messages to the garbage collector.',
  'What did not: to copy chunks on arrival into memory that is used again, so that messages die young; a server that collects its garbage later (GOGC=400).',
];

const where = `${machine()}; ${versionOf('nats-server')}`;
const nats = await startBenchNats();
/** Folder that `gim run` uses; null if this machine has no room for it. */
const shared = makeSharedFolder(2 ** 31, pino({ level: 'silent' }));
const ratios: Record<string, number> = {};
const rows: string[][] = [];
for (const format of formats) {
  const results = await alternate(
    {
      dropOldest: () => turn('edge', edgeOf(format, 'dropOldest'), nats, seconds),
      block: () => turn('edge', edgeOf(format, 'block'), nats, seconds),
      ...sharedWays(format),
      bare: () => turn('bare', edgeOf(format, 'dropOldest'), nats, seconds),
      bareBlock: () => turn('bare', edgeOf(format, 'block'), nats, seconds),
      tcp: () => turn('tcp', edgeOf(format, 'dropOldest'), nats, seconds),
    },
    rounds,
  );
  const wire = (turns: Measured[]) => turns.map((t) => t.wire);
  for (const [way, turns] of Object.entries(results)) {
    const bare = way.toLowerCase().endsWith('block') ? results.bareBlock : results.bare;
    const ratio = medianRatio(wire(turns), wire(bare));
    if (way === 'dropOldest' || way === 'block') ratios[`${format} ${way}`] = ratio;
    const row = rowOf(format, way, turns, ratio);
    rows.push(row);
    console.log(row.join('  '));
  }
}
const blocked = Number(values.block) > 0 ? await blockedRows(Number(values.block)) : [];
shared?.remove();
await nats.stop();

const result = {
  name: 'edge',
  title: 'Edge between two modules',
  machine: where,
  method: `Samples of 8 MiB in float32, encoded, half of their bytes zeros, from one process through nats-server to another, on one machine; through memory: the body of a message through a file in /dev/shm, as between the trainers of \`gim run\` (decision 16). Median of ${rounds} rounds in turns of ${seconds} s. The bare loop publishes and acknowledges messages of the same size with the NATS client as it is, through a stream of the same kind, puts no sample together and reads no byte. The edge does, in batches of 8 samples.`,
  tables: [
    {
      columns: [
        'format',
        'way',
        'GB/s of float32',
        'GB/s on the wire',
        'to the bare loop',
        'CPU s/GB on the wire: producer',
        'server',
        'consumer',
      ],
      rows,
    },
    ...blocked,
    await codecTable(),
  ],
  notes: NOTES,
  ratios,
};
console.log(`\n${result.tables.map(markdown).join('\n\n')}`);
if (values.record) record(result);

/** Empty if the machine has no room for it. */
function sharedWays(format: Format): Record<string, () => Promise<Measured>> {
  if (!shared) return {};
  const { path } = shared;
  return {
    shared: () => turn('edge', edgeOf(format, 'dropOldest'), nats, seconds, path),
    sharedBlock: () => turn('edge', edgeOf(format, 'block'), nats, seconds, path),
  };
}

function rowOf(format: string, way: string, turns: Measured[], ratio: number): string[] {
  const of = (figure: (turn: Measured) => number) => median(turns.map(figure)).toFixed(2);
  const name = {
    dropOldest: 'edge, dropOldest',
    block: 'edge, block',
    shared: 'edge through memory, dropOldest',
    sharedBlock: 'edge through memory, block',
    bare: 'bare, dropOldest',
    bareBlock: 'bare, block',
    tcp: 'TCP',
  }[way];
  return [
    format,
    name ?? way,
    of(({ rate }) => rate),
    of(({ wire }) => wire),
    ratio.toFixed(2),
    of(({ cpu }) => cpu.producer),
    of(({ cpu }) => cpu.server),
    of(({ cpu }) => cpu.consumer),
  ];
}

/** Measures the effect of a consumer's busy main thread on its edge. */
async function blockedRows(block: number): Promise<Table[]> {
  const rows = [];
  for (const whenFull of ['dropOldest', 'block'] as const) {
    const { batches, cut, slowConsumers, repeated } = await blockedTurn(
      edgeOf('int8', whenFull),
      nats,
      block,
    );
    rows.push([whenFull, ...[cut, slowConsumers, repeated, batches].map(String)]);
  }
  return [
    {
      columns: [
        `consumer busy for ${block} s`,
        'connections cut',
        'slow consumers',
        'messages twice',
        'batches after',
      ],
      rows,
    },
  ];
}
