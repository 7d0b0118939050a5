/** Fits the growth of a cost: `y` is about proportional to `x ** exponent`. */

export interface Point {
  x: number;
  y: number;
}

/**
 * Returns the slope of a straight line through the logarithms, by least squares. Throws a
 * `RangeError` for fewer than two points.
 */
export function exponentOf(points: readonly Point[]): number {
  const logs = points.map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }));
  if (logs.length < 2 || logs.some(({ x, y }) => !Number.isFinite(x) || !Number.isFinite(y))) {
    throw new RangeError(
      `an exponent needs two points or more, all above 0: ${JSON.stringify(points)}`,
    );
  }
  const mean = (of: (point: Point) => number) =>
    logs.reduce((sum, point) => sum + of(point), 0) / logs.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  return mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2);
}
