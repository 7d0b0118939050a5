/** Formats numbers for people. Unknown values become a dash. */

const UNKNOWN = '–';

/** Formats as `12,345`. */
export const formatCount = (count: number): string => count.toLocaleString('en-US');

/** Formats as `2.833`. */
export const formatLoss = (loss: number | null): string => loss?.toFixed(3) ?? UNKNOWN;

/** Formats as `97.1%`. */
export const formatPercent = (fraction: number | null): string =>
  fraction === null ? UNKNOWN : `${(100 * fraction).toFixed(1)}%`;

/** Formats as `1,234` or `5.7`. */
export const formatRate = (rate: number | null): string =>
  rate?.toLocaleString('en-US', { maximumFractionDigits: rate < 100 ? 1 : 0 }) ?? UNKNOWN;

/** Formats as `3 / 12`. */
export const formatSteps = (steps: { p50: number; p95: number } | null): string =>
  steps ? `${formatRate(steps.p50)} / ${formatRate(steps.p95)}` : UNKNOWN;

/** Formats as `1 h 2 min`, `3 min 20 s` or `12.3 s`. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const UNITS = ['', 'k', 'M', 'G', 'T', 'P'];

/** Formats three digits with a decimal prefix, as `3.22 M` or `824 k`. */
export function formatSi(value: number): string {
  const rounded = Number(value.toPrecision(3));
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(rounded || 1) / 3)));
  const scaled = (rounded / 1000 ** power).toLocaleString('en-US', { maximumSignificantDigits: 3 });
  return `${scaled} ${UNITS[power]}`.trimEnd();
}

/** Formats as `3.22 MB` or `824 kB`, with a base of 1000. */
export const formatBytes = (bytes: number): string => {
  const text = formatSi(bytes);
  return /\d$/.test(text) ? `${text} B` : `${text}B`;
};
