import {
  type Control,
  controlSchema,
  controlSubject,
  type ModuleControl,
  type Report,
  type RunId,
  reportSubject,
} from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats, type NatsAccess } from '../nats/connect.ts';

interface ControlChannelOptions extends NatsAccess {
  run: RunId;
  module: string;
  replica: number;
}

/** Connection to the operator: sends reports, receives control messages. Losing it never stops a training. */
export class ControlChannel {
  readonly connection: NatsConnection;
  readonly #subject: string;
  #control: Control | null = null;
  #resolveFirst: () => void = () => {};
  readonly #first = new Promise<void>((resolve) => {
    this.#resolveFirst = resolve;
  });

  static async open(options: ControlChannelOptions): Promise<ControlChannel> {
    const connection = await connectNats(options, `${options.module}-${options.replica}-reports`);
    return new ControlChannel(connection, options);
  }

  private constructor(connection: NatsConnection, { run, module, replica }: ControlChannelOptions) {
    this.connection = connection;
    this.#subject = reportSubject(run, module, replica);
    connection.subscribe(controlSubject(run), {
      callback: (error, message) => {
        const control = error ? null : parseControl(message.data);
        if (control === null) return;
        this.#control = control;
        this.#resolveFirst();
      },
    });
  }

  /** Reports whether the operator released `module`, so that its trainers may end. */
  released(module: string): boolean {
    return this.#control?.released.includes(module) ?? false;
  }

  /** Returns the replicas of `module` as last published by the operator; undefined before. */
  replicasOf(module: string): ModuleControl | undefined {
    return this.#control?.modules?.[module];
  }

  /** Resolves after the first control message, or after `milliseconds`. */
  async firstControl(milliseconds: number): Promise<void> {
    await Promise.race([this.#first, new Promise((r) => setTimeout(r, milliseconds).unref())]);
  }

  /** Sends a report, or drops it without a connection: the next report contains the same fields. */
  report(report: Report): void {
    if (!this.connection.isClosed()) this.connection.publish(this.#subject, JSON.stringify(report));
  }

  /** Closes the connection. Waits up to 1 s for the last report to be sent. */
  async close(): Promise<void> {
    await Promise.race([this.connection.flush(), new Promise((r) => setTimeout(r, 1000).unref())]);
    await this.connection.close();
  }
}

function parseControl(data: Uint8Array): Control | null {
  try {
    return controlSchema.parse(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return null; // not a control message
  }
}
