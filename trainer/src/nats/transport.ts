import { createConnection, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  DataBuffer,
  type NatsConnection,
  NatsConnectionImpl,
  setTransportFactory,
} from '@nats-io/transport-node';
import { NodeTransport, nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';
import { WholeMessages } from './whole-messages.ts';

/**
 * Connects like `connect` of @nats-io/transport-node, but reads and writes without copies (decision 11). The bytes of a
 * published payload must not change until the server has received it.
 */
export async function connect(options: ConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new WholeTransport(), dnsResolveFn: nodeResolveHost });
  const connection = (await NatsConnectionImpl.connect(options)) as NatsConnectionImpl;
  const { protocol } = connection;
  const pieces = new Pieces((piece) => protocol.transport.send(piece)); // `transport` is another one after a reconnect
  if (protocol.outbound.size() > 0) pieces.fill(protocol.outbound.drain());
  protocol.outbound = pieces;
  return connection;
}

/**
 * Transport of the NATS client that passes whole messages to the parser. With TLS it reads like the client's own transport,
 * because Node passes the socket's bytes to the TLS socket.
 */
class WholeTransport extends NodeTransport {
  /** Collects all frames of one tick of the event loop into one write. */
  override send(frame: Uint8Array): void {
    const { socket } = this;
    socket?.cork();
    super.send(frame);
    process.nextTick(() => socket?.uncork());
  }

  override dial({ hostname, port }: { hostname: string; port: number }): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const messages = new WholeMessages();
      const socket = createConnection({
        host: hostname,
        port,
        noDelay: true,
        onread: {
          buffer: () => messages.room(),
          callback: (bytes) => {
            try {
              const whole = messages.take(bytes);
              if (whole) socket.emit('data', whole); // with `onread`, Node does not emit it
            } catch (error) {
              socket.destroy(error as Error);
            }
            return true;
          },
        },
      });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(socket);
      });
    });
  }
}

/**
 * Send buffer of the NATS client. The client's own buffer joins everything into new memory before each write; this one
 * passes the pieces to the socket without a copy.
 *
 * A payload must therefore not change until an acknowledgement or a flush shows that the server has received it.
 */
export class Pieces extends DataBuffer {
  readonly #send: (piece: Uint8Array) => void;

  /** `send` gets all pieces but the last, in order, before `drain` returns the last one. */
  constructor(send: (piece: Uint8Array) => void) {
    super();
    this.#send = send;
  }

  /** Returns the last piece, which the client sends. The client always drains everything, never `n` bytes. */
  override drain(): Uint8Array {
    const last = this.buffers.pop() ?? new Uint8Array(0);
    for (const piece of this.buffers) this.#send(piece);
    this.reset();
    return last;
  }
}
