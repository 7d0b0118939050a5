import { expect, it } from 'vitest';
import { type MutationReport, outdated, score, share } from './score.ts';

const SOURCE = 'const a = 1;\n  return a > 0;\n';
const mutant = (line: number, replacement: string, status: string) => ({
  mutatorName: 'any',
  replacement,
  status,
  location: { start: { line }, end: { line } },
});
const report = (...mutants: MutationReport['files'][string]['mutants']): MutationReport => ({
  files: { 'a.ts': { source: SOURCE, mutants } },
});
const EQUIVALENT = { file: 'a.ts', line: 'return a > 0;', replacement: 'a >= 0', why: 'a is 1' };

it('counts detected mutants, survivors and mutants without coverage', () => {
  const result = score(
    report(
      mutant(1, '2', 'Killed'),
      mutant(1, '3', 'Timeout'),
      mutant(2, 'a >= 0', 'Survived'),
      mutant(2, 'true', 'NoCoverage'),
      mutant(2, 'false', 'Ignored'),
    ),
    [],
  );
  expect(result.found).toBe(2);
  expect(result.survivors).toEqual([
    { file: 'a.ts', at: 2, line: 'return a > 0;', replacement: 'a >= 0' },
    { file: 'a.ts', at: 2, line: 'return a > 0;', replacement: 'true' },
  ]);
  expect(share(result)).toBe(0.5);
});

it('leaves listed equivalent mutants out of the share', () => {
  const mutants = [mutant(1, '2', 'Killed'), mutant(2, 'a >= 0', 'Survived')];
  const result = score(report(...mutants), [EQUIVALENT]);
  expect(result).toMatchObject({ equivalent: 1, survivors: [], wrong: [] });
  expect(share(result)).toBe(1);
});

it('reports a listed mutant that a test detects', () => {
  const result = score(report(mutant(2, 'a >= 0', 'Killed')), [EQUIVALENT]);
  expect(result.wrong).toEqual([EQUIVALENT]);
});

it('reports a listed mutant whose line or file is gone', () => {
  const gone = { ...EQUIVALENT, line: 'return a < 0;' };
  const elsewhere = { ...EQUIVALENT, file: 'b.ts' };
  const sourceOf = (file: string) => (file === 'a.ts' ? SOURCE : undefined);
  expect(outdated([EQUIVALENT, gone, elsewhere], sourceOf)).toEqual([gone, elsewhere]);
});
