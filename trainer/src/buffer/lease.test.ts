import { describe, expect, it } from 'vitest';
import { giveBack, takeMemory } from '../nats/message-memory.ts';
import { Lease, LeaseError } from './lease.ts';

/** A message whose reply subject lies in its own memory, as those of the NATS client do. */
function leased() {
  const told: string[] = [];
  const freed: string[] = [];
  const memory = takeMemory(100_000);
  memory.write('$JS.ACK.stream');
  const say = (what: string) => () => told.push(`${what} to ${memory.toString('latin1', 0, 14)}`);
  const message = { ack: say('ack'), nak: say('nak'), working: say('working') };
  const lease = new Lease(message, memory, (answer) => {
    freed.push(answer);
    giveBack(memory);
  });
  return { lease, told, freed };
}

describe('a lease', () => {
  it('answers the server while the subject of the answer is still in memory', () => {
    const { lease, told, freed } = leased();
    lease.working();
    lease.ack();
    lease.release();
    expect(told).toEqual(['working to $JS.ACK.stream', 'ack to $JS.ACK.stream']);
    expect(freed).toEqual(['ack']);
  });

  it('refuses to release a message that the server waits for', () => {
    const { lease, freed } = leased();
    expect(() => lease.release()).toThrow(LeaseError);
    expect(freed).toEqual([]);
  });

  it('refuses every use after the release', () => {
    const { lease } = leased();
    lease.nak();
    lease.release();
    expect(() => lease.payload).toThrow(LeaseError);
    expect(() => lease.working()).toThrow(LeaseError);
  });

  it('answers once and releases once', () => {
    const { lease, told, freed } = leased();
    lease.nak();
    lease.ack();
    lease.working();
    lease.release();
    lease.release();
    expect(told).toEqual(['nak to $JS.ACK.stream']);
    expect(freed).toEqual(['nak']);
  });
});
