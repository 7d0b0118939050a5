import { type Report, type RunId, reportSchema, reportSubjects } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';

/**
 * Subscribes to the reports of a run's trainers. `onReport` receives each valid report of this run. Ignores invalid
 * messages and reports of another run with the same name.
 */
export function followReports(
  connection: NatsConnection,
  run: RunId,
  onReport: (report: Report) => void,
): void {
  connection.subscribe(reportSubjects(run), {
    callback: (error, message) => {
      const report = error ? undefined : parse(message.data);
      if (report?.run === run.uid) onReport(report);
    },
  });
}

function parse(data: Uint8Array): Report | undefined {
  try {
    return reportSchema.parse(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return undefined; // not a report
  }
}
