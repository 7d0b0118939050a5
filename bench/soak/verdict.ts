/** Detects growth in samples of a run's processes. */

export interface Sample {
  /** Seconds since the start of the soak. */
  at: number;
  /** One of runner, nats, or the module of a trainer. */
  role: string;
  pid: number;
  rssMiB: number;
  /** Open files and sockets. */
  fds: number;
}

/** One process, from the end of its warm-up to its last sample. */
export interface Life {
  role: string;
  pid: number;
  seconds: number;
  firstMiB: number;
  lastMiB: number;
  /** Slope by least squares. */
  slopeMiBPerMinute: number;
  fdsFirst: number;
  fdsLast: number;
}

/** A process is warm after a minute: buffers are full, code is compiled. */
export const WARM_SECONDS = 60;
/**
 * A slope over a shorter time is noise: garbage is collected in steps of tens of MiB, about once a
 * minute.
 */
export const LEAST_SECONDS = 180;
export const BOUNDS = {
  /** Both must be exceeded: a slope alone may be a step, a step alone a larger batch of garbage. */
  slopeMiBPerMinute: 2,
  growthMiB: 24,
  /** During a reconnect the old and the new socket both exist for a moment. */
  fds: 8,
};

export function livesOf(samples: readonly Sample[]): Life[] {
  const byPid = Map.groupBy(samples, ({ pid }) => pid);
  return [...byPid.values()].flatMap((all) => {
    const born = all[0]?.at ?? 0;
    const warm = all.filter(({ at }) => at >= born + WARM_SECONDS);
    const [first, last] = [warm[0], warm.at(-1)];
    if (!first || !last || last.at - first.at < LEAST_SECONDS) return [];
    const fifth = Math.max(1, Math.floor(warm.length / 5));
    return [
      {
        role: first.role,
        pid: first.pid,
        seconds: last.at - first.at,
        firstMiB: median(warm.slice(0, fifth).map(({ rssMiB }) => rssMiB)),
        lastMiB: median(warm.slice(-fifth).map(({ rssMiB }) => rssMiB)),
        slopeMiBPerMinute: 60 * slope(warm.map(({ at, rssMiB }) => [at, rssMiB])),
        fdsFirst: median(warm.slice(0, fifth).map(({ fds }) => fds)),
        fdsLast: median(warm.slice(-fifth).map(({ fds }) => fds)),
      },
    ];
  });
}

/** Describes what grows, one sentence each. */
export const complaintsOf = (lives: readonly Life[]): string[] =>
  lives.flatMap(
    ({ role, pid, seconds, firstMiB, lastMiB, slopeMiBPerMinute, fdsFirst, fdsLast }) => [
      ...(slopeMiBPerMinute > BOUNDS.slopeMiBPerMinute && lastMiB - firstMiB > BOUNDS.growthMiB
        ? [
            `${role} (${pid}) grew from ${firstMiB.toFixed(0)} to ${lastMiB.toFixed(0)} MiB in ${seconds.toFixed(0)} s, by ${slopeMiBPerMinute.toFixed(1)} MiB a minute`,
          ]
        : []),
      ...(fdsLast > fdsFirst + BOUNDS.fds
        ? [`${role} (${pid}) had ${fdsFirst} files and sockets open, and ${fdsLast} at the end`]
        : []),
    ],
  );

function slope(points: readonly (readonly [number, number])[]): number {
  const n = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : above / below;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
