import type { Forecast } from '../plan/simulate/pipeline.ts';
import { formatCount, formatDuration, formatPercent, formatRate, formatSteps } from './format.ts';
import { textTable } from './table.ts';

/** Formats a forecast of a run as text for a terminal. */
export function forecastText(forecast: Forecast): string {
  const { whenFull, samples, seconds, samplesPerSecond, coresBusy, bottleneck, stages } = forecast;
  const cores = coresBusy === null ? '' : `, cores ${formatPercent(coresBusy)} busy`;
  const table = textTable(
    [
      'module',
      'ends after',
      'samples/s',
      'busy',
      'stale p50/p95',
      'age p50/p95',
      'dropped',
      'reused',
    ],
    stages.map((stage) => [
      stage.name,
      formatDuration(stage.seconds),
      formatRate(stage.samplesPerSecond),
      formatPercent(stage.busy),
      formatSteps(stage.stalenessSteps),
      formatAges(stage.stalenessSeconds),
      formatCount(stage.dropped),
      formatCount(stage.reused),
    ]),
  );
  return `Simulated with ${whenFull}: ${formatRate(samplesPerSecond)} samples/s, ${formatCount(samples)} samples in ${formatDuration(seconds)}; bottleneck: ${bottleneck}${cores}\n\n${table}`;
}

/** Formats as `0.01 / 0.25 s`. */
const formatAges = (ages: { p50: number; p95: number } | null): string =>
  ages === null ? '–' : `${ages.p50.toFixed(2)} / ${ages.p95.toFixed(2)} s`;
