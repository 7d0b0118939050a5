/** The URL of NATS is invalid, or holds a user or a password. The message never holds a password. */
export class NatsUrlError extends Error {
  override readonly name = 'NatsUrlError';
}

/**
 * Returns `url` if it is nats://HOST:PORT, tls://HOST:PORT or HOST:PORT. The NATS client ignores users and passwords in
 * URLs, and quotes the URL in errors; so a URL with one never reaches the client, a log, or an argument of a process.
 * @throws NatsUrlError
 */
export function checkNatsUrl(url: string): string {
  if (url.includes('@')) {
    throw new NatsUrlError(
      'the NATS URL holds a user or a password, which are not used; remove them, and name a credentials file',
    );
  }
  if (!URL.canParse(url.includes('://') ? url : `nats://${url}`)) {
    throw new NatsUrlError(`the NATS URL ${url} is invalid; nats://HOST:PORT would be right`);
  }
  return url;
}
