import { describe, expect, it } from 'vitest';
import { check, countsOf, excess, type Finding } from './plain-english.ts';

const rules = (source: string, file = 'a.ts') => check(file, source).map(({ rule }) => rule);

describe('the check of a file', () => {
  it.each([
    ['/** What the server says. */'],
    ['// Whether it is ready.'],
    ['const a = [1]; // Of the first.'],
    ['/**\n * Those that are left.\n */'],
  ])('finds the headless comment %j', (source) => {
    expect(rules(source)).toEqual(['headless comment']);
  });

  it('names the line and what replaces a retired word', () => {
    expect(check('a.ts', 'const a = 1;\n/** Returns the crew. */\n')).toEqual([
      { file: 'a.ts', line: 2, rule: 'crew -> replicas', text: 'Returns the crew.' },
    ]);
    expect(rules('A *readout* of a module.', 'a.md')).toHaveLength(1);
  });

  it.each([
    "it('tells nobody', () => {});",
    "throw new RangeError('no mistake');",
    "const schema = z.string().check({ message: 'whatever' });",
  ])('finds a retired word in the text of %s', (source) => {
    expect(rules(source)).toHaveLength(1);
  });

  it.each([
    ['clean prose', 'a.ts', '/** Returns the replicas of a module. */'],
    ['a code span', 'a.ts', '/** Reads the old field `readout`. */'],
    ['a URL', 'a.md', 'See https://example.org/crew/readout for details.'],
    ['a code block', 'a.md', '```\nreadout: true\n```'],
    ['code', 'a.ts', 'const crew = readout;'],
    ['a boolean', 'a.ts', 'interface A {\n  /** Whether it is ready. */\n  isReady: boolean;\n}'],
    ['an absent object', 'a.ts', '/** Returns null if there is no such run. */'],
    ['a relative clause', 'a.ts', '/** Factor by which a batch takes longer. */'],
  ])('accepts %s', (_, file, source) => {
    expect(check(file, source)).toEqual([]);
  });
});

describe('the allowed findings', () => {
  const finding = (file: string): Finding => ({ file, line: 1, rule: 'r', text: 't' });
  const found = ['b/c/d/e/x.ts', 'b/c/d/y.ts', 'a.md'].map(finding);

  it('are counted by folder, at most three levels deep', () => {
    expect(countsOf(found)).toEqual({ '.': 1, 'b/c/d': 2 });
  });

  it('may shrink but not grow, and are zero in other folders', () => {
    expect(excess(found, { '.': 1, 'b/c/d': 3 })).toEqual([]);
    expect(excess(found, { '.': 1, 'b/c/d': 1 })).toEqual(found.slice(0, 2));
    expect(excess(found, { 'b/c/d': 2 })).toEqual(found.slice(2));
  });
});
