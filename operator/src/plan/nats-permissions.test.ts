import { MAX_SHARDS, MESSAGE_BYTES } from '@greedy-infomax/crds';
import { describe, expect, test } from 'vitest';
import { trainerPermissions } from './nats-permissions.ts';

const run = { namespace: 'team', name: 'small', uid: 'u1' };
const edge = { stream: 'S', consumer: 'second', sampleBytes: 1000 };
const without = trainerPermissions(run, [], { bucket: false });
const added = (edges: (typeof edge)[], bucket = false) => {
  const { publish, subscribe } = trainerPermissions(run, edges, { bucket });
  expect(subscribe).toEqual(without.subscribe);
  expect(publish.slice(0, without.publish.length)).toEqual(without.publish);
  return publish.slice(without.publish.length);
};

describe('the NATS user of the trainers of a run', () => {
  test('publishes reports, activations and state, and reads state, all of its own run', () => {
    expect(without.publish).toHaveLength(6);
    for (const subject of [...without.publish, ...without.subscribe]) {
      expect(subject).toMatch(/team[._]small/);
      expect(subject).not.toMatch(/^\$JS\.API\.(STREAM|CONSUMER)|^>|^\*/);
    }
    expect(
      without.publish.filter((subject) => subject.startsWith('$JS.API.DIRECT.GET.')),
    ).toHaveLength(2);
    expect(without.subscribe).toHaveLength(2);
    expect(without.subscribe[1]).toMatch(/^_INBOX.*\.>$/);
  });

  test('fetches and acknowledges messages of existing consumers of each edge', () => {
    expect(added([edge, { ...edge, stream: 'T', consumer: 'third' }])).toEqual([
      '$JS.API.CONSUMER.MSG.NEXT.S.second',
      '$JS.API.CONSUMER.INFO.S.second',
      '$JS.ACK.S.second.>',
      '$JS.API.CONSUMER.MSG.NEXT.T.third',
      '$JS.API.CONSUMER.INFO.T.third',
      '$JS.ACK.T.third.>',
    ]);
  });

  test('has a consumer for each shard of an edge of large samples', () => {
    const subjects = added([{ ...edge, sampleBytes: MESSAGE_BYTES }]);
    expect(subjects).toHaveLength(3 * MAX_SHARDS);
    expect(new Set(subjects).size).toBe(3 * MAX_SHARDS);
  });

  test('reads, writes and removes checkpoints only where the run keeps them in a bucket', () => {
    const objects = '$O.gim_team_small_u1';
    const stream = 'OBJ_gim_team_small_u1';
    expect(added([], false)).toEqual([]);
    expect(added([], true)).toEqual([
      `${objects}.C.*`,
      `${objects}.M.*`,
      `$JS.API.DIRECT.GET.${stream}`,
      `$JS.API.DIRECT.GET.${stream}.${objects}.>`,
      `$JS.API.STREAM.MSG.GET.${stream}`,
      `$JS.API.STREAM.INFO.${stream}`,
      `$JS.API.STREAM.PURGE.${stream}`,
    ]);
  });
});
