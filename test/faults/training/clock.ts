import { readFileSync } from 'node:fs';

/**
 * Shifts a trainer's clock by the milliseconds in the file CLOCK_OFFSET_FILE; loaded first (`node
 * --import`). Setting this machine's clock would harm other processes, and a time namespace does
 * not cover the wall clock.
 */

const file = process.env.CLOCK_OFFSET_FILE ?? '';
const RealDate = Date;

function now(): number {
  try {
    return RealDate.now() + Number(readFileSync(file, 'utf8'));
  } catch {
    return RealDate.now(); // The clock has not jumped yet.
  }
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
});
