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
 * Connects as `connect` of @nats-io/transport-node does, with other ways to read and to write (decision 11). What is
 * published must keep its bytes until the server has it.
 */
export async function connect(options: ConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new WholeTransport(), dnsResolveFn: nodeResolveHost });
  const connection = (await NatsConnectionImpl.connect(options)) as NatsConnectionImpl;
  const { protocol } = connection;
  const pieces = new Pieces((piece) => protocol.transport.send(piece)); // of the connection of the moment
  if (protocol.outbound.size() > 0) pieces.fill(protocol.outbound.drain());
  protocol.outbound = pieces;
  return connection;
}

/**
 * The transport of the NATS client, but what it hands to the parser is whole messages. With TLS it reads as the client's
 * own does: Node gives the socket's bytes to the TLS socket above it.
 */
class WholeTransport extends NodeTransport {
  /** What is sent in one go is written at once. */
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
              if (whole) socket.emit('data', whole); // Node's own sockets do not, when they are given memory
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
 * What the NATS client has to send. The client's own joins all of it into new memory before each write; here the
 * socket is given the pieces as they are: a payload is read by the system from where it lies.
 *
 * So a payload must keep its bytes until the server has them, which an acknowledgement tells, or a flush.
 */
export class Pieces extends DataBuffer {
  readonly #send: (piece: Uint8Array) => void;

  /** `send` is called with all pieces but the last, in order, before the last is handed out. */
  constructor(send: (piece: Uint8Array) => void) {
    super();
    this.#send = send;
  }

  /** The client sends what this returns. It asks for all, never for `n` bytes of it. */
  override drain(): Uint8Array {
    const last = this.buffers.pop() ?? new Uint8Array(0);
    for (const piece of this.buffers) this.#send(piece);
    this.reset();
    return last;
  }
}
