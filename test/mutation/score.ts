/** Score of a part: mutants that tests detected, and those that they did not. */

/** A mutant in Stryker's JSON report (mutation-testing-report-schema). */
export interface Mutant {
  mutatorName: string;
  replacement?: string;
  status: string;
  location: { start: { line: number }; end: { line: number } };
}

export interface MutationReport {
  files: Record<string, { source: string; mutants: readonly Mutant[] }>;
}

/** A mutant that no test can detect, because the program behaves the same. */
export interface Equivalent {
  file: string;
  /** Source line where the mutant begins, without indentation. */
  line: string;
  replacement: string;
  why: string;
}

export interface Survivor {
  file: string;
  /** Number of the line where the mutant begins. */
  at: number;
  line: string;
  replacement: string;
}

export interface Score {
  found: number;
  survivors: Survivor[];
  equivalent: number;
  /** Wrong entries of the list of equivalent mutants: a test detects them. */
  wrong: Equivalent[];
}

/** Stryker's states of a detected mutant. Compile errors and ignored mutants are not counted. */
const FOUND = ['Killed', 'Timeout', 'RuntimeError'];
const SURVIVED = ['Survived', 'NoCoverage'];

export function score(report: MutationReport, equivalents: readonly Equivalent[]): Score {
  const result: Score = { found: 0, survivors: [], equivalent: 0, wrong: [] };
  for (const [file, { source, mutants }] of Object.entries(report.files)) {
    const lines = source.split('\n');
    for (const { status, location, replacement = '' } of mutants) {
      const at = location.start.line;
      const line = (lines[at - 1] ?? '').trim();
      const known = equivalents.find(
        (each) => each.file === file && each.line === line && each.replacement === replacement,
      );
      if (FOUND.includes(status)) {
        result.found += 1;
        if (known) result.wrong.push(known);
      } else if (SURVIVED.includes(status)) {
        if (known) result.equivalent += 1;
        else result.survivors.push({ file, at, line, replacement });
      }
    }
  }
  return result;
}

/**
 * Returns the share of detected mutants, 0 to 1; 1 if there are none. Equivalent mutants are not
 * counted.
 */
export const share = ({ found, survivors }: Score): number =>
  found + survivors.length === 0 ? 1 : found / (found + survivors.length);

/** Returns the entries whose file or line is gone, so that the list does not outlive the code. */
export const outdated = (
  equivalents: readonly Equivalent[],
  sourceOf: (file: string) => string | undefined,
): Equivalent[] =>
  equivalents.filter(({ file, line }) => {
    const source = sourceOf(file);
    return !source?.split('\n').some((each) => each.trim() === line);
  });
