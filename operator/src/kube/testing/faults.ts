import type { ServerResponse } from 'node:http';

/**
 * Fault to inject instead of a response: an HTTP status, a closed connection, silence, invalid JSON, or
 * headers followed by an event or nothing.
 */
export type Fault =
  | { status: number; headers?: Record<string, string> }
  | 'drop'
  | 'hang'
  | 'garbage'
  | 'truncate'
  | 'goneEvent'
  | 'silentWatch';

/** Sends a JSON response. */
export function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** Returns the `Status` object of a refusal. */
export const status = (code: number, reason: string) => ({
  kind: 'Status',
  code,
  reason,
  message: `because of ${reason}`,
  metadata: {},
});

/** Applies `fault` to a request. */
export function misbehave(fault: Fault, response: ServerResponse): void {
  if (fault === 'hang') return;
  if (fault === 'drop') {
    response.destroy();
  } else if (typeof fault === 'object') {
    response.writeHead(fault.status, fault.headers);
    response.end(JSON.stringify(status(fault.status, 'Planned')));
  } else {
    response.writeHead(200, { 'content-type': 'application/json' });
    if (fault === 'silentWatch') response.flushHeaders();
    else if (fault === 'garbage') response.end('<html>Bad gateway</html>\n');
    else if (fault === 'goneEvent') {
      response.end(`${JSON.stringify({ type: 'ERROR', object: status(410, 'Expired') })}\n`);
    } else {
      response.write('{"type":"ADDED","object":{"metadata":{"na');
      setTimeout(() => response.destroy(), 20);
    }
  }
}
