import { isDeepStrictEqual } from 'node:util';
import { Agent, type Dispatcher } from 'undici';
import { type Clock, systemClock } from './clock.ts';

/** Address of an API server, and credentials for it. */
export interface Access {
  readonly server: string;
  /** Returns headers and dispatcher for a request; connections are kept between calls. */
  open(): Promise<Opened>;
  /** Closes every connection, including those in use. */
  close(): Promise<void>;
}

export interface Opened {
  /** Headers that authenticate the client. */
  headers: Record<string, string>;
  dispatcher: Dispatcher;
}

/** Credentials of a kubeconfig or a service account, as its files are now. */
export interface Credentials {
  headers: Record<string, string>;
  tls: {
    ca?: Buffer;
    cert?: Buffer;
    key?: Buffer;
    servername?: string;
    rejectUnauthorized?: boolean;
  };
}

/**
 * Seconds after which files are read again, as client-go does: tokens and certificates are renewed in place.
 */
const READ_AGAIN_SECONDS = 60;

/**
 * Returns an agent with keep-alive connections on HTTP/1.1. Over HTTP/2 all requests share one connection, so
 * after it dies each retry would hang like the first. Load balancers drop connections that are silent for a
 * minute, so TCP keep-alive starts after half of it.
 */
export const keptAgent = (connect: Agent.Options['connect'] & object): Agent =>
  new Agent({
    allowH2: false,
    connect: { ...connect, keepAlive: true, keepAliveInitialDelay: 30_000 },
  });

/** Access with credentials from files, over its own connections. */
export class DirectAccess implements Access {
  readonly server: string;
  readonly #read: () => Credentials;
  readonly #clock: Clock;
  #credentials: Credentials | undefined;
  #readAt = 0;
  #agent: Agent | undefined;

  constructor(server: string, read: () => Credentials, clock: Clock = systemClock) {
    this.server = server;
    this.#read = read;
    this.#clock = clock;
  }

  async open(): Promise<Opened> {
    const { headers, tls } = this.#current();
    this.#agent ??= keptAgent(tls);
    return { headers, dispatcher: this.#agent };
  }

  async close(): Promise<void> {
    await this.#agent?.destroy();
    this.#agent = undefined;
  }

  #current(): Credentials {
    const now = this.#clock.now();
    const before = this.#credentials;
    if (before && now - this.#readAt < READ_AGAIN_SECONDS * 1000) return before;
    const credentials = this.#read();
    if (before && !isDeepStrictEqual(before.tls, credentials.tls)) {
      void this.#agent?.close(); // resolves when pending requests have ended
      this.#agent = undefined;
    }
    this.#credentials = credentials;
    this.#readAt = now;
    return credentials;
  }
}
