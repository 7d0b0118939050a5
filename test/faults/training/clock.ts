import { readFileSync } from 'node:fs';

/**
 * Loaded into a trainer before anything else (`node --import`): its clock is off by as many milliseconds as the
 * file CLOCK_OFFSET_FILE says. The clock of this machine cannot be set without harm to others, and a time
 * namespace has only the clocks that nobody sets.
 */

const file = process.env.CLOCK_OFFSET_FILE ?? '';
const RealDate = Date;

function now(): number {
  try {
    return RealDate.now() + Number(readFileSync(file, 'utf8'));
  } catch {
    return RealDate.now(); // it has not jumped yet
  }
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
});
