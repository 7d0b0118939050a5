import { printable } from '@greedy-infomax/crds';
import { createLogUpdate } from 'log-update';
import { compactLine, type ProgressState, phaseOf, progressLines } from './progress.ts';

/** Shows the progress of a run. */
export interface Screen {
  /** To be called about once a second. */
  show(state: ProgressState): void;
  /** A line that stays. */
  note(line: string): void;
  /** Leaves the last state standing. */
  done(): void;
}

const EVERY_MS = 10_000;

/** On a terminal lines that move; elsewhere a line a module every 10 s and at each change of phase. */
export const openScreen = (stream: NodeJS.WriteStream, now: () => number): Screen =>
  stream.isTTY ? terminal(stream, now) : log(stream, now);

function terminal(stream: NodeJS.WriteStream, now: () => number): Screen {
  const update = createLogUpdate(stream);
  return {
    show: (state) =>
      update(printable(progressLines(state, now(), (stream.columns || 80) - 1).join('\n'))),
    note: (line) => update.persist(printable(line)),
    done: () => update.done(),
  };
}

function log(stream: NodeJS.WriteStream, now: () => number): Screen {
  const shown = new Map<string, { phase: string; at: number }>();
  const note = (line: string) => void stream.write(`${printable(line)}\n`);
  return {
    show({ modules }) {
      for (const module of modules) {
        const last = shown.get(module.name);
        const phase = phaseOf(module);
        if (last?.phase === phase && now() - last.at < EVERY_MS) continue;
        shown.set(module.name, { phase, at: now() });
        note(compactLine(module));
      }
    },
    note,
    done: () => {},
  };
}
