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

/** The trainer's line to the operator: reports out, control in. Losing it never stops a training. */
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

  /** Whether the operator says that `module` may end. */
  released(module: string): boolean {
    return this.#control?.released.includes(module) ?? false;
  }

  /** What the operator last said of the trainers of `module`; undefined before it said anything. */
  replicasOf(module: string): ModuleControl | undefined {
    return this.#control?.modules?.[module];
  }

  /** Resolves when the operator has said something, or after `milliseconds`. */
  async firstControl(milliseconds: number): Promise<void> {
    await Promise.race([this.#first, new Promise((r) => setTimeout(r, milliseconds).unref())]);
  }

  /** Sends, or drops what cannot be sent now: the next report says all that this one does. */
  report(report: Report): void {
    if (!this.connection.isClosed()) this.connection.publish(this.#subject, JSON.stringify(report));
  }

  /** Waits for the last report to leave, but not for a server that is gone. */
  async close(): Promise<void> {
    await Promise.race([this.connection.flush(), new Promise((r) => setTimeout(r, 1000).unref())]);
    await this.connection.close();
  }
}

function parseControl(data: Uint8Array): Control | null {
  try {
    return controlSchema.parse(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return null; // not ours
  }
}
