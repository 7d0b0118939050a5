import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trainerEnv } from '../operator/src/local/trainer-process.ts';

/**
 * What a benchmark found, kept in `results/NAME.json`: RESULTS.md is written from these files, and
 * `bench-quick` compares with their ratios.
 */

export interface BenchResult {
  /** Of the benchmark, and of the file. */
  name: string;
  /** A heading. */
  title: string;
  /** YYYY-MM-DD. */
  day: string;
  /** Where it was measured, with the versions of all that took part. */
  machine: string;
  /** What was compared with what, in sentences. */
  method: string;
  tables: Table[];
  /** What the tables show, and what was tried and did not help; a paragraph each. */
  notes: string[];
  /** By what they are of: figures that mean the same on another machine. */
  ratios: Record<string, number>;
}

export interface Table {
  columns: string[];
  rows: string[][];
}

/** All competitors get memory as trainers do; each decides on its threads itself. */
export const BENCH_ENV: NodeJS.ProcessEnv = {
  GLIBC_TUNABLES: trainerEnv({}).GLIBC_TUNABLES,
  ...process.env,
};

const FOLDER = join(import.meta.dirname, 'results');

const fileOf = (name: string): string => join(FOLDER, `${name}.json`);

/** Replaces the result of the benchmark of that name. */
export function record(result: Omit<BenchResult, 'day'>): void {
  const day = new Date().toISOString().slice(0, 10);
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(fileOf(result.name), `${JSON.stringify({ ...result, day }, null, 2)}\n`);
}

/** What was recorded last under that name. */
export const recorded = (name: string): BenchResult =>
  JSON.parse(readFileSync(fileOf(name), 'utf8')) as BenchResult;

/** A table of Markdown. */
export function markdown({ columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A result as a section of RESULTS.md. */
export function section({ title, day, machine, method, tables, notes }: BenchResult): string {
  return [`## ${title}`, `${day}: ${machine}.`, method, ...tables.map(markdown), ...notes].join(
    '\n\n',
  );
}
