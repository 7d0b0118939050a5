const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** Returns a time of `seconds` in its two largest units, as kubectl does: 2d11h, 4h10m, 9m30s, 45s. */
export function humanDuration(seconds: number): string {
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  if (first < 0) return '0s';
  let left = Math.floor(seconds);
  return UNITS.slice(first, first + 2)
    .map(([unit, size]) => {
      const count = Math.floor(left / size);
      left -= count * size;
      return count > 0 ? `${count}${unit}` : '';
    })
    .join('');
}
