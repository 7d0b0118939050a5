/** Reports whether a new measurement of a ratio is worse than the committed one. */

export interface Comparison {
  /** `BENCHMARK: RATIO` */
  what: string;
  committed: number;
  now: number;
  /** Minimum that counts as equally good. */
  least: number;
  isWorse: boolean;
}

/**
 * Compares the ratios that `chosen` matches; a missing one counts as worse. Throws a `RangeError`
 * when it matches none.
 */
export function compare(
  name: string,
  committed: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
  chosen: RegExp,
  tolerance: number,
): Comparison[] {
  const keys = Object.keys(committed).filter((key) => chosen.test(key));
  if (keys.length === 0) throw new RangeError(`no committed ratio of ${name} matches ${chosen}`);
  return keys.map((key) => {
    const before = committed[key] as number;
    const after = now[key] ?? 0;
    const least = (1 - tolerance) * before;
    return {
      what: `${name}: ${key}`,
      committed: before,
      now: after,
      least,
      isWorse: !(after >= least),
    };
  });
}
