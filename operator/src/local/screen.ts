import { Console } from 'node:console';
import { printable } from '@greedy-infomax/crds';
import { createLogUpdate } from 'log-update';
import { compactLine, type ProgressState, phaseOf, progressLines } from './progress.ts';

/** Shows the progress of a run. */
export interface Screen {
  /** Shows the current progress. Callers call it about once a second. */
  show(state: ProgressState): void;
  /** Prints a line that later progress does not overwrite. */
  note(line: string): void;
  /** Stops updating and leaves the last progress on the screen. */
  done(): void;
}

const EVERY_MS = 10_000;

/** Updates lines in place on a terminal. Otherwise prints one line per module every 10 s and at each change of phase. */
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
  const console = new Console(stream); // ignores errors of the stream
  const note = (line: string) => console.log(printable(line));
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
