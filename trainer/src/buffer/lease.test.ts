import { describe, expect, it } from 'vitest';
import { giveBack, takeMemory } from '../nats/message-memory.ts';
import { Lease, LeaseError } from './lease.ts';

/** Returns a lease of a message whose reply subject is in its own memory, as in the NATS client. */
function leased() {
  const sent: string[] = [];
  const freed: string[] = [];
  const memory = takeMemory(100_000);
  memory.write('$JS.ACK.stream');
  const say = (what: string) => () => sent.push(`${what} to ${memory.toString('latin1', 0, 14)}`);
  const message = { ack: say('ack'), nak: say('nak'), working: say('working') };
  const lease = new Lease(message, memory, (answer) => {
    freed.push(answer);
    giveBack(memory);
  });
  return { lease, sent, freed };
}

describe('a lease', () => {
  it('answers the server while the reply subject is still in memory', () => {
    const { lease, sent, freed } = leased();
    lease.working();
    lease.ack();
    lease.release();
    expect(sent).toEqual(['working to $JS.ACK.stream', 'ack to $JS.ACK.stream']);
    expect(freed).toEqual(['ack']);
  });

  it('refuses to release a message without an answer', () => {
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
    const { lease, sent, freed } = leased();
    lease.nak();
    lease.ack();
    lease.working();
    lease.release();
    lease.release();
    expect(sent).toEqual(['nak to $JS.ACK.stream']);
    expect(freed).toEqual(['nak']);
  });
});
