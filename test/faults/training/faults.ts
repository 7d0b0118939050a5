import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { TRAINER_COMMAND } from '../../../operator/src/local/trainer-process.ts';
import { natsOptions, natsPid } from '../../support/gim.ts';
import { type Disk, mountDisk } from './disk.ts';
import { type FarNats, startFarNats } from './link.ts';
import { poison } from './poison.ts';
import { type ModuleName, type Setting, StalledError, type Training } from './training.ts';

/** Faults that a training must survive: set-up, injection, and what must hold afterwards. */

/** A trainer exited that should have continued. */
export class RestartedError extends Error {
  override readonly name = 'RestartedError';
}

export interface Fault {
  /** Name in the table. */
  name: string;
  /** Reaction of the components. */
  happens: string;
  /** Prepares the fault before the training; `folder` is the training's output folder. */
  prepare?(folder: string): Promise<Prepared>;
  setting?: Setting;
  /** True for a lasting fault; recovery is then counted from its end. */
  lasting?: true;
  /**
   * Injects the fault and resolves when it is over. Throws when the training did not react as
   * expected.
   */
  strike(training: Training, scene: Scene): Promise<void>;
}

interface Prepared {
  setting?: Setting;
  disk?: Disk;
  nats?: FarNats;
  /** Undoes the set-up. */
  clean(): Promise<void>;
}

export interface Scene extends Partial<Prepared> {
  folder: string;
  random: (below: number) => number;
  /** Duration of a lasting fault, in milliseconds. */
  lasts: number;
}

const killTrainer = (module: ModuleName, setting: Setting = {}): Fault => ({
  name: `kill -9 of the trainer of module ${module}${setting.whenFull ? ', buffers that block' : ''}`,
  happens: `started again after a second, goes on from its newest checkpoint; ${
    setting.whenFull ? 'what it had not used NATS gives out again after 20 s' : 'the others go on'
  }`,
  setting,
  async strike(training) {
    process.kill(training.pid(module), 'SIGKILL');
    await training.until(() => training.of(module).restarts > 0, `a restart of module ${module}`);
  },
});

const killNats = (setting: Setting = {}): Fault => ({
  name: `kill -9 of NATS${setting.whenFull ? ', buffers that block' : ''}`,
  happens:
    'restarted; its streams, which are in memory, are created again empty, and trainers reconnect',
  setting,
  async strike({ out }) {
    process.kill(serverOf(out), 'SIGKILL');
  },
});

const stopTrainer: Fault = {
  lasting: true,
  name: 'a trainer pauses and resumes (SIGSTOP, a slow consumer)',
  happens: 'the buffer before it drops its oldest samples, the module behind it waits for new ones',
  async strike(training, { lasts }) {
    const pid = training.pid('two');
    process.kill(pid, 'SIGSTOP');
    await sleep(lasts);
    process.kill(pid, 'SIGCONT');
  },
};

const stuckTrainer: Fault = {
  name: 'a trainer hangs permanently (SIGSTOP)',
  happens: 'killed and restarted after 5 minutes without a sign of life (here 8 seconds)',
  setting: { hungAfterMs: 8000 },
  async strike(training) {
    process.kill(training.pid('two'), 'SIGSTOP');
    await training.until(() => training.of('two').restarts > 0, 'the hung trainer to be replaced');
  },
};

const natsOutOfMemory: Fault = {
  lasting: true,
  name: 'NATS is out of memory for streams',
  happens:
    'samples that cannot be stored are dropped and counted; no module waits; all train on as soon as there is room',
  async strike({ natsUrl, out }, { lasts }) {
    // The server may have been killed just before and not be back yet.
    const connection = await connect({
      ...natsOptions(natsUrl, out),
      waitOnFirstConnect: true,
    });
    // The server may respond slowly while it stores the fill.
    const manager = await jetstreamManager(connection, { timeout: 20_000 });
    const [name, subject] = ['hog', 'hog'];
    await manager.streams.add({ name, subjects: [subject], storage: StorageType.Memory });
    const js = jetstream(connection, { timeout: 20_000 });
    // Fills in small pieces, so that the space left at the end is less than one message of an edge.
    for (const bytes of [2 ** 19, 2 ** 12]) {
      let room = true;
      while (room) {
        room = await js.publish(subject, new Uint8Array(bytes)).then(
          () => true,
          () => false,
        );
      }
    }
    await sleep(lasts);
    await manager.streams.delete(name);
    await connection.close();
  },
};

const natsDiskFull: Fault = {
  lasting: true,
  name: 'the disk of NATS is full',
  happens: 'nothing: edges are in memory',
  async prepare(folder) {
    const disk = mountDisk(join(folder, 'out/nats'), 2);
    return { disk, clean: async () => disk.unmount() };
  },
  async strike(_training, { disk, lasts }) {
    disk?.fill();
    await sleep(lasts);
    disk?.empty();
  },
};

const checkpointDiskFull: Fault = {
  lasting: true,
  name: 'the disk of the checkpoints is full',
  happens:
    'training continues without new checkpoints and reports it in the status; old checkpoints stay intact',
  async prepare(folder) {
    const disk = mountDisk(join(folder, 'out/modules/two'), 8);
    return { disk, clean: async () => disk.unmount() };
  },
  async strike(training, { disk, lasts }) {
    disk?.fill();
    const { message } = training.of('two');
    await training.until(
      () => (training.of('two').message ?? message)?.includes('ENOSPC') ?? false,
      'module two to report the full disk',
    );
    await sleep(lasts);
    disk?.empty();
    await training.until(
      () => training.of('two').message === undefined,
      'module two to write checkpoints again',
    );
    const { restarts } = training.of('two');
    if (restarts > 0) throw new RestartedError('the full disk ended the trainer of module two');
  },
};

const HOUR = 3_600_000;

const clockJump: Fault = {
  lasting: true,
  name: 'the clocks of the trainers jump an hour on, then back by two',
  happens: 'nothing: intervals are measured by the monotonic clock',
  async prepare(folder) {
    process.env.CLOCK_OFFSET_FILE = join(folder, 'clock');
    const clock = join(import.meta.dirname, 'clock.ts');
    const [node = process.execPath, ...rest] = TRAINER_COMMAND;
    return {
      setting: { trainerCommand: [node, '--import', clock, ...rest] },
      async clean() {
        delete process.env.CLOCK_OFFSET_FILE;
      },
    };
  },
  async strike(training, { folder, lasts }) {
    for (const offset of [HOUR, -HOUR]) {
      const { checkpointStep } = training.of('two');
      writeFileSync(join(folder, 'clock'), String(offset));
      await sleep(lasts / 2);
      await training.until(
        () =>
          training.of('two').phase !== 'training' ||
          training.of('two').checkpointStep !== checkpointStep,
        'a checkpoint after the jump of the clock',
        60,
      );
    }
  },
};

const poisonEdge: Fault = {
  name: 'poison on the subjects of both edges',
  happens:
    'random bytes, wrong shape or version, oversize, forged headers, NaN and infinite values: counted, dropped, never trained on',
  // A ring might have dropped them before a consumer read them.
  setting: { whenFull: 'block' },
  async strike(training, { random }) {
    for (const [module, reader] of [
      ['one', 'two'],
      ['two', 'three'],
    ] as const) {
      const taken = await poison(training.natsUrl, training.out, module, random);
      await training.until(
        () => refusedBy(training.out, reader) >= taken,
        `module ${reader} to count ${taken} invalid messages`,
      );
    }
  },
};

const overFarNats = async (): Promise<Prepared> => {
  const nats = await startFarNats();
  return { nats, setting: { natsUrl: nats.url }, clean: () => nats.close() };
};

const cutLink: Fault = {
  lasting: true,
  name: 'the link to NATS is cut',
  happens:
    'modules train on their buffers; samples are dropped; all continue when the link is back',
  prepare: overFarNats,
  async strike(_training, { nats, lasts }) {
    nats?.cut();
    await sleep(lasts);
    nats?.mend();
  },
};

const slowLink: Fault = {
  lasting: true,
  name: 'the link to NATS is slow (2 Mbit/s)',
  happens: 'producers drop the samples that do not get through; no module waits',
  prepare: overFarNats,
  async strike(_training, { nats, lasts }) {
    nats?.limit(2);
    await sleep(lasts);
    nats?.limit(undefined);
  },
};

export const FAULTS = {
  killFirst: killTrainer('one'),
  killMiddle: killTrainer('two'),
  killLast: killTrainer('three'),
  killMiddleBlock: killTrainer('two', { whenFull: 'block' }),
  stopTrainer,
  stuckTrainer,
  killNats: killNats(),
  killNatsBlock: killNats({ whenFull: 'block' }),
  natsOutOfMemory,
  natsDiskFull,
  checkpointDiskFull,
  clockJump,
  poisonEdge,
  cutLink,
  slowLink,
} satisfies Record<string, Fault>;

function serverOf(out: string): number {
  const pid = natsPid(out);
  if (pid === undefined) throw new StalledError('no NATS server runs');
  return pid;
}

/** Counts the trainer's log lines over all of its starts. */
function refusedBy(out: string, module: string): number {
  const counts = readFileSync(join(out, 'modules', module, 'trainer.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes('"refused":'))
    .map((line) => (JSON.parse(line) as { refused: number }).refused);
  return Math.max(0, ...counts);
}
