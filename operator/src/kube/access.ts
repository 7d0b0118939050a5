import { isDeepStrictEqual } from 'node:util';
import { Agent, type Dispatcher } from 'undici';
import { type Clock, systemClock } from './clock.ts';

/** The way to an API server, and who this is there. */
export interface Access {
  readonly server: string;
  /** What a request is sent with; connections are kept between calls. */
  open(): Promise<Opened>;
  /** Ends every connection, also those in use. */
  close(): Promise<void>;
}

export interface Opened {
  /** They say who asks. */
  headers: Record<string, string>;
  dispatcher: Dispatcher;
}

/** Of a kubeconfig or a service account, as its files are now. */
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

/** Files are read again after so long, as client-go does: tokens and certificates are renewed in their place. */
const READ_AGAIN_SECONDS = 60;

/**
 * HTTP/1.1: over HTTP/2 all requests share one connection, so after a dead one each retry would hang like the first.
 * Load balancers drop what is silent for a minute, so connections say that they live after half of it.
 */
export const keptAgent = (connect: Agent.Options['connect'] & object): Agent =>
  new Agent({
    allowH2: false,
    connect: { ...connect, keepAlive: true, keepAliveInitialDelay: 30_000 },
  });

/** With credentials that lie in files, over connections of its own. */
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
      void this.#agent?.close(); // when what is under way has ended
      this.#agent = undefined;
    }
    this.#credentials = credentials;
    this.#readAt = now;
    return credentials;
  }
}
