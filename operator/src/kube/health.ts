import { type Answer, type Served, serve } from './http-server.ts';

/** Named conditions. Each returns true, or a description of the problem. */
export type Checks = Record<string, () => true | string>;

/** Returns status 200 if all checks hold, else 503, with one line per check. */
export function answerOf(checks: Checks): Answer {
  const results = Object.entries(checks).map(([name, check]) => ({ name, result: outcome(check) }));
  const lines = results.map(({ name, result }) =>
    result === true ? `[+]${name} ok` : `[-]${name} failed: ${result}`,
  );
  const isFine = results.every(({ result }) => result === true);
  return {
    status: isFine ? 200 : 503,
    body: `${[...lines, isFine ? 'ok' : 'failed'].join('\n')}\n`,
  };
}

function outcome(check: () => true | string): true | string {
  try {
    return check();
  } catch (error) {
    return (error as Error).message;
  }
}

/** Serves /healthz (the kubelet restarts the pod if it fails) and /readyz. */
export const openHealthServer = (
  port: number,
  checks: { healthz: Checks; readyz: Checks },
): Promise<Served> =>
  serve(port, {
    '/healthz': () => answerOf(checks.healthz),
    '/readyz': () => answerOf(checks.readyz),
  });
